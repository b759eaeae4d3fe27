package file

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/zooid-project/zooid/kernel"
)

func newRNG() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// encodeSegment makes a whole segment, without what may lie behind its end.
func encodeSegment(h header, groups [][]kernel.Record, synced []kernel.Zxid, runs []uint32) []byte {
	b := make([]byte, groupsStart)
	encodeHeaderBlock(b, h)
	chain := h.seed()
	for i, records := range groups {
		var body []byte
		size := 0
		for _, r := range records {
			size += recordSize + len(r.Meta) + len(r.Data)
		}
		start := len(b)
		b = append(b, make([]byte, groupSize)...)
		chain = group{number: h.number, size: uint32(size), synced: synced[i], prev: chain, run: runs[i]}.encode(b[start:])
		for j := range records {
			body, chain = appendRecord(body, chain, &records[j])
		}
		b = append(b, body...)
		for len(b)%groupAlign != 0 {
			b = append(b, 0)
		}
	}
	return append(b, make([]byte, endSize)...)
}

func FuzzSegment(f *testing.F) {
	known := header{number: 3, prev: 2, run: 1, generation: 1, before: 0x100000007, synced: 0x100000007, chain: 77, log: 99}
	g := [][]kernel.Record{{{Zxid: 0x100000008, Data: []byte("a")}, {Zxid: 0x100000009, Meta: []byte("m"), Data: []byte("bc")}}, nil, {{Zxid: 0x200000001}}}
	f.Add(encodeSegment(known, g, []kernel.Zxid{0x100000007, 0x100000009, 0x100000009}, []uint32{1, 1, 2}))
	f.Add(encodeSegment(known, nil, nil, nil))
	f.Add(encodeSegment(known, g, []kernel.Zxid{1, 2, 3}, []uint32{1, 1, 2})[:groupsStart+90])
	f.Add(encodeSegment(known, g, []kernel.Zxid{1, 2, 3}, []uint32{1, 1, 2})[groupsStart:])
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeHeaderBlock(b[:min(len(b), groupsStart)])
		if err != nil { // then at least what may follow a header
			block := make([]byte, groupsStart)
			h = known
			encodeHeaderBlock(block, h)
			b = append(block, b...)
		}
		w := walker{file: bytes.NewReader(b), size: int64(len(b)), number: h.number, off: groupsStart, chain: h.seed(), chained: true, last: h.before}
		var groups [][]kernel.Record
		var synced []kernel.Zxid
		var runs []uint32
		for {
			var records []kernel.Record
			g, err := w.next(func(_ int64, r kernel.Record) bool {
				records = append(records, kernel.Record{Zxid: r.Zxid, Meta: bytes.Clone(r.Meta), Data: bytes.Clone(r.Data)})
				return true
			})
			if err != nil {
				var bad *badError
				if !errors.As(err, &bad) && err != io.EOF {
					t.Fatalf("%v", err)
				}
				break
			}
			groups, synced, runs = append(groups, records), append(synced, g.synced), append(runs, g.run)
		}
		if _, err := (&walker{file: bytes.NewReader(b), size: int64(len(b)), number: h.number}).syncedNote(groupsStart); err != nil {
			t.Fatal(err)
		}
		// The padding behind records may hold anything; all else is what was read.
		again := encodeSegment(h, groups, synced, runs)
		w2 := walker{file: bytes.NewReader(again), size: int64(len(again)), number: h.number, off: groupsStart, chain: h.seed(), chained: true, last: h.before}
		for range groups {
			if _, err := w2.next(nil); err != nil {
				t.Fatalf("what was read cannot be read again: %v", err)
			}
		}
		if w2.off != w.off || w2.chain != w.chain || w2.last != w.last {
			t.Fatal("something was lost")
		}
	})
}

func FuzzState(f *testing.F) {
	f.Add((&state{sequence: 1, log: 5}).encode())
	f.Add((&state{sequence: 9, log: 5, generation: 2, synced: 77, first: 3, run: 4, words: []byte("words")}).encode())
	f.Add((&state{words: []byte{}}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		st, err := decodeState(b)
		if err == nil && !bytes.HasPrefix(b, st.encode()) {
			t.Fatal("something was lost")
		}
		_, _ = newestState("state", append(append([]byte{}, b...), b...))
	})
}
