package tree

import "hash/maphash"

// filter says of nearly every name that a parent does not have that it does not have it, in two bytes per child: so creates below a parent with too many
// children for a complete set need not ask the store. A name once added stays; a name that is found in it may be absent all the same.
//
// It is a row of Bloom filters, each for twice as many names as the one before it, so that it grows without knowing the names again.
// One name sets all its bits in one block of 64 bytes.
type filter struct {
	layers []layer
	room   int   // names that the last layer still takes
	names  int64 // that were added
}

type layer [][8]uint64

const (
	filterBits   = 16 // per name
	filterProbes = 6
	firstLayer   = 2 * defaultComplete
)

var filterSeed = maphash.MakeSeed()

// add notes a name and returns by how many bytes the filter grew.
func (f *filter) add(name string) (grown int64) {
	if f.room == 0 {
		names := firstLayer << len(f.layers)
		f.layers = append(f.layers, make(layer, names*filterBits/512))
		f.room = names
		grown = int64(names * filterBits / 8)
	}
	f.room--
	f.names++
	h := maphash.String(filterSeed, name)
	block := f.layers[len(f.layers)-1].block(h)
	bits := spread(h)
	for range filterProbes {
		block[bits>>6&7] |= 1 << (bits & 63)
		bits >>= 9
	}
	return grown
}

// bytes is what the filter occupies.
func (f *filter) bytes() (n int64) {
	for _, l := range f.layers {
		n += int64(len(l)) * 64
	}
	return n
}

// excludes says whether the name was certainly never added.
func (f *filter) excludes(name string) bool {
	h := maphash.String(filterSeed, name)
	bits := spread(h)
	for _, l := range f.layers {
		block, b, all := l.block(h), bits, true
		for i := 0; i < filterProbes && all; i++ {
			all = block[b>>6&7]&(1<<(b&63)) != 0
			b >>= 9
		}
		if all {
			return false
		}
	}
	return true
}

// block picks by the upper half of the hash.
func (l layer) block(h uint64) *[8]uint64 { return &l[(h>>32)*uint64(len(l))>>32] }

// spread makes probes out of a hash whose upper half has chosen the block.
func spread(h uint64) uint64 { return h * 0x9e3779b97f4a7c15 >> 8 }
