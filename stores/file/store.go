package file

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/zooid-project/zooid/kernel"
)

var _ kernel.LogStore = (*Store)(nil)

func init() {
	kernel.Register(kernel.KindLogStore, "file", kernel.Factory[kernel.LogStore]{
		Doc:    "segments on disk, overwritten in place; every record checksummed and chained",
		Format: Format,
		Options: []kernel.Option{
			{Key: "segmentSize", Type: kernel.TypeBytes, Default: "64MiB", Doc: "size of a log segment; the first ones are smaller and grow to it"},
			{Key: "forceSync", Type: kernel.TypeBool, Default: "true", Config: "forceSync", Doc: "confirm a write only when it is on stable storage; false loses confirmed writes in a power cut"},
			{Key: "prepareAhead", Type: kernel.TypeBool, Default: "true", Doc: "fill the next segment in the background; false: when it is needed, on the caller's goroutine"},
		},
		New: func(env kernel.Env, o kernel.Options) (kernel.LogStore, error) {
			return Open(Config{FS: env.FS, Dir: env.LogDir, SegmentSize: o.Bytes("segmentSize"), PrepareAhead: o.Bool("prepareAhead"), NoSync: !o.Bool("forceSync"), Logger: env.Logger})
		},
	})
}

// The bounds of Config.SegmentSize, and the size that a new log begins with when that is less.
const (
	MinSegmentSize   = 16 << 10
	MaxSegmentSize   = 1 << 30
	firstSegmentSize = 1 << 20
)

// Config says where a log lives and how.
type Config struct {
	FS  vfs.FS
	Dir string // the log directory; the log is in its subdirectory "log"
	// SegmentSize is in bytes, MinSegmentSize to MaxSegmentSize. A group that is larger gets a segment of its own size.
	SegmentSize int64
	// PrepareAhead fills the next segment on a goroutine of its own.
	PrepareAhead bool
	// NoSync confirms records that only the operating system has: a power cut loses some of them. Guarantees says so.
	NoSync bool
	Logger *slog.Logger // nil: nothing is logged

	damaged func(*Damage) error // hears of damage before the log is cut there; nil: damage is an error
}

// Store is the log. Its contract is kernel.LogStore's.
type Store struct {
	config Config
	fs     vfs.FS
	dir    string
	logger *slog.Logger
	lock   io.Closer

	// The fields of the caller's goroutine.
	file      *stateFile
	st        state
	buf       []byte     // one group, encoded
	chain     uint32     // at the end of the log
	dirty     []*segment // written since the last Sync, in order
	durable   kernel.Zxid
	recovered *kernel.TornTail
	closed    bool

	mu        sync.Mutex // guards what follows, and end, last, first, index, readers and dropped of every segment
	segments  []*segment // never empty; the last one is written to. The slice is replaced, not changed, when a segment goes
	last      kernel.Zxid
	next      uint32 // number of the next segment
	spares    []spare
	prepared  *blank // made ready for the next roll
	reserve   int64  // size of the file "reserve"; 0: there is none
	preparing bool
	stopping  bool
	done      sync.Cond // preparing has become false
	failed    error     // the first error of the disk: every later call returns it
}

// segment is one file of the log.
type segment struct {
	header
	path string
	file vfs.File
	size int64

	end     int64       // offset behind the last group
	first   kernel.Zxid // 0: no records
	last    kernel.Zxid // header.before while there are no records
	index   []place
	readers int
	dropped bool // closed by its last reader
}

// place is where a group that begins with zxid starts. There is one for every indexStep bytes.
type place struct {
	zxid kernel.Zxid
	off  int64
}

const indexStep = 64 << 10

// added notes a group of records at off.
func (g *segment) added(off int64, first kernel.Zxid) {
	if g.first == 0 {
		g.first = first
	}
	if n := len(g.index); n == 0 || off-g.index[n-1].off >= indexStep {
		g.index = append(g.index, place{first, off})
	}
}

func segmentName(number uint32) string { return fmt.Sprintf("segment.%08x", number) }

// Append encodes the group into one buffer and writes it with one call. It allocates nothing in the steady state.
func (s *Store) Append(records []kernel.Record) error {
	if err := s.usable(); err != nil {
		return err
	}
	if len(records) == 0 {
		return nil
	}
	last, size := s.last, int64(0) // s.last changes on this goroutine only
	for i := range records {
		r := &records[i]
		if err := checkOrder(last, r.Zxid); err != nil {
			return err
		}
		last = r.Zxid
		size += recordSize + int64(len(r.Meta)) + int64(len(r.Data))
	}
	if size > maxGroupBytes {
		return fmt.Errorf("a group of %d bytes is larger than the %d that the log takes", size, int64(maxGroupBytes))
	}
	current := s.current()
	if current.end+groupBytes(size)+2*(groupSize+endSize) > current.size { // room stays for the note that Close writes
		if err := s.roll(groupBytes(size)); err != nil {
			return err
		}
		current = s.current()
	}
	g := group{number: current.number, size: uint32(size), synced: s.durable, prev: s.chain, run: s.st.run}
	chain, err := s.write(current, g, records)
	if err != nil {
		return err
	}
	s.mu.Lock()
	current.added(current.end, records[0].Zxid)
	current.end += groupBytes(size)
	current.last, s.last = last, last
	s.mu.Unlock()
	s.chain = chain
	return nil
}

// checkOrder is the rule of kernel.LogStore.Append: zxids rise, and are contiguous within an epoch.
func checkOrder(last, next kernel.Zxid) error {
	if next <= last || next.Counter() == 0 || (next.Epoch() == last.Epoch() && next != last+1) {
		return fmt.Errorf("%w: %v after %v", kernel.ErrOutOfOrder, next, last)
	}
	return nil
}

// write encodes a group with the zeros that end the log, and writes it at the end of g's segment, which only then counts as dirty.
func (s *Store) write(to *segment, g group, records []kernel.Record) (chain uint32, err error) {
	b := s.buf[:0]
	if need := int(groupBytes(int64(g.size))) + endSize; cap(b) < need {
		b = make([]byte, 0, need+need/4)
	}
	b = b[:groupSize]
	chain = g.encode(b)
	for i := range records {
		b, chain = appendRecord(b, chain, &records[i])
	}
	for len(b) < int(groupBytes(int64(g.size)))+endSize {
		b = append(b, 0)
	}
	if cap(b) <= 4<<20 {
		s.buf = b
	}
	s.touch(to)
	if _, err := to.file.WriteAt(b, to.end); err != nil {
		if vfs.IsNoSpaceError(err) { // a file system that copies on write: nothing counts until end moves, and the next group overwrites it
			return 0, fmt.Errorf("%w: write %s: %w", kernel.ErrNoSpace, to.path, err)
		}
		return 0, s.fail(fmt.Errorf("write %s: %w", to.path, err))
	}
	return chain, nil
}

// touch notes that g needs a sync.
func (s *Store) touch(g *segment) {
	if n := len(s.dirty); n == 0 || s.dirty[n-1] != g {
		s.dirty = append(s.dirty, g)
	}
}

// roll goes on in the next segment. The old one is synced by the next Sync; its records stay readable.
func (s *Store) roll(need int64) error {
	b, err := s.take(groupsStart+need+3*(groupSize+endSize), false)
	if err != nil {
		return err
	}
	from := s.current()
	h := header{number: b.number, prev: from.number, run: s.st.run, generation: from.generation, before: s.last, synced: s.durable, chain: s.chain, log: s.st.log}
	g, err := s.start(b, h)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.segments = append(s.segments[:len(s.segments):len(s.segments)], g)
	s.mu.Unlock()
	s.chain = h.seed()
	s.kick()
	return nil
}

// start writes the header of a segment and the zeros that say that no group follows.
func (s *Store) start(b *blank, h header) (*segment, error) {
	block := make([]byte, groupsStart+endSize)
	encodeHeaderBlock(block, h)
	g := b.segment(h)
	s.touch(g)
	if _, err := g.file.WriteAt(block, 0); err != nil {
		return nil, s.fail(fmt.Errorf("write %s: %w", g.path, err))
	}
	return g, nil
}

// Sync is one fdatasync, and one more for each roll since the last call. With Config.NoSync it is one at each roll only; what the log says of itself as
// synced stays true, so that a power cut leaves a torn tail and no damage.
func (s *Store) Sync() (kernel.Zxid, error) {
	if s.config.NoSync && len(s.dirty) <= 1 {
		return s.last, s.usable()
	}
	return s.sync()
}

func (s *Store) sync() (kernel.Zxid, error) {
	if err := s.usable(); err != nil {
		return 0, err
	}
	for _, g := range s.dirty {
		if err := g.file.SyncData(); err != nil {
			return 0, s.fail(fmt.Errorf("sync %s: %w", g.path, err))
		}
	}
	s.dirty = s.dirty[:0]
	s.durable = s.last
	return s.durable, nil
}

// note writes an empty group that says what is synced, and syncs it.
func (s *Store) note() error {
	g := s.current()
	if g.end+groupSize+endSize > g.size {
		return nil // the header of the next segment will say it
	}
	chain, err := s.write(g, group{number: g.number, synced: s.durable, prev: s.chain, run: s.st.run}, nil)
	if err != nil {
		return err
	}
	s.mu.Lock()
	g.end += groupSize
	s.mu.Unlock()
	s.chain = chain
	_, err = s.sync()
	return err
}

// First is the zxid of the first record, or where an empty log goes on.
func (s *Store) First() kernel.Zxid {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.segments {
		if g.first != 0 {
			return g.first
		}
	}
	return s.last
}

// Last is the zxid of the last record, or where an empty log goes on.
func (s *Store) Last() kernel.Zxid {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// Words returns a copy.
func (s *Store) Words() ([]byte, error) {
	if err := s.usable(); err != nil {
		return nil, err
	}
	if s.st.words == nil {
		return nil, nil
	}
	return append([]byte{}, s.st.words...), nil
}

// SaveWords writes both copies of the state, each with a sync.
func (s *Store) SaveWords(words []byte) error {
	if err := s.usable(); err != nil {
		return err
	}
	if len(words) > maxWords {
		return fmt.Errorf("durable words of %d bytes are larger than the %d that the log takes", len(words), maxWords)
	}
	st := s.st
	st.words = append([]byte{}, words...)
	return s.saveState(st)
}

// saveState makes st durable with what is known synced, and then current.
func (s *Store) saveState(st state) error {
	st.sequence++
	st.generation = s.current().generation
	st.synced = s.durable
	if err := s.file.save(&st); err != nil {
		if vfs.IsNoSpaceError(err) && s.file.file != nil && int64(stateHeader+len(st.words)+stateTrailer) > s.file.slotSize {
			return fmt.Errorf("%w: %w", kernel.ErrNoSpace, err) // the new file was given up, the old one is untouched
		}
		return s.fail(err)
	}
	s.st = st
	return nil
}

// Size counts segments, those made ready, the reserve and the words.
func (s *Store) Size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	size := s.reserve + 2*minSlotSize
	for _, g := range s.segments {
		size += g.size
	}
	for _, sp := range s.spares {
		size += sp.size
	}
	if s.prepared != nil {
		size += s.prepared.size
	}
	return size
}

// Guarantees are all of them.
func (s *Store) Guarantees() kernel.LogGuarantees {
	return kernel.LogGuarantees{Durable: !s.config.NoSync, Checksums: true, Chained: true, AtomicWords: true}
}

// Recovered describes the tail that opening cut.
func (s *Store) Recovered() *kernel.TornTail { return s.recovered }

// Close syncs, notes that all is synced, or says that what was appended could not be, and ends the store's goroutine. Reads that are under way end with their own error or run to their end.
func (s *Store) Close() error {
	if s.closed {
		return nil
	}
	err := s.failure()
	switch {
	case err == nil:
		if _, err = s.sync(); err == nil {
			err = s.note()
		}
	case len(s.dirty) == 0: // nothing is lost by it, and whoever asked for more has been told
		err = nil
	}
	s.stopPreparing()
	s.closed = true
	s.mu.Lock()
	segments := s.segments
	s.segments = segments[len(segments):]
	for _, g := range segments {
		s.drop(g)
	}
	s.mu.Unlock()
	s.file.close()
	return errors.Join(err, s.lock.Close())
}

func (s *Store) current() *segment {
	// The slice is written by this goroutine only.
	return s.segments[len(s.segments)-1]
}

// usable returns the error of a store that is closed or has failed.
func (s *Store) usable() error {
	if s.closed {
		return kernel.ErrClosed
	}
	return s.failure()
}

func (s *Store) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// fail remembers the first error of the disk for good: what a failed write or sync has left on the disk is not known, so nothing is tried again (spec zab, G13).
func (s *Store) fail(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil {
		s.failed = fmt.Errorf("the log cannot go on after an error of the disk: %w", err)
	}
	return s.failed
}

// drop closes a segment that is no longer part of the log once nobody reads it. mu is held. It reports whether the file is closed.
func (s *Store) drop(g *segment) bool {
	g.dropped = true
	if g.readers > 0 {
		return false
	}
	g.file.Close()
	return true
}

// checkConfig fills in defaults.
func (c *Config) check() error {
	if c.SegmentSize < MinSegmentSize || c.SegmentSize > MaxSegmentSize {
		return fmt.Errorf("plugin.log.segmentSize is %d bytes; allowed are %d to %d", c.SegmentSize, int64(MinSegmentSize), int64(MaxSegmentSize))
	}
	if c.SegmentSize%sectorSize != 0 {
		return fmt.Errorf("plugin.log.segmentSize is %d bytes; it must be a multiple of %d", c.SegmentSize, sectorSize)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

var errNumbers = fmt.Errorf("all %d segment numbers are used up; reset the log from a snapshot in a new directory", uint32(math.MaxUint32))
