package peer

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/zooid-project/zooid/sdk/jute"
)

// stream is a snapshot with sessions, ACL lists of all shapes, and nodes.
func stream(r *rand.Rand) []byte {
	sessions := r.IntN(4)
	b := jute.AppendInt32(nil, int32(sessions))
	for range sessions {
		b = jute.AppendInt32(jute.AppendInt64(b, r.Int64()), r.Int32())
	}
	lists := r.IntN(4)
	b = jute.AppendInt32(b, int32(lists))
	for range lists {
		b = jute.AppendInt64(b, r.Int64())
		items := r.IntN(4) - 1
		b = jute.AppendVectorLen(b, items)
		for range items {
			b = jute.AppendString(jute.AppendString(jute.AppendInt32(b, 31), "world"), strings.Repeat("a", r.IntN(20)))
		}
	}
	node := func(path string, data []byte) {
		b = jute.AppendInt64(jute.AppendBuffer(jute.AppendString(b, path), data), -1)
		b = append(b, make([]byte, 60)...)
	}
	node("", nil)
	for range r.IntN(5) {
		node("/"+strings.Repeat("/", 1+r.IntN(10)), bytes.Repeat([]byte("/"), r.IntN(3000)))
	}
	node("/BenWasHere", AppendSnapshotSignature(nil))
	return jute.AppendString(b, "/")
}

// The end is found, whatever the sizes of reads on both sides, and what follows is left.
func TestSnapshotReader(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		want := stream(r)
		wire := append(AppendSnapshotSignature(want[:len(want):len(want)]), "next packet"...)
		var source io.Reader = bytes.NewReader(wire)
		switch seed % 3 {
		case 1:
			source = iotest.OneByteReader(source)
		case 2:
			source = iotest.HalfReader(source)
		}
		in := bufio.NewReaderSize(source, 16+r.IntN(100))
		var out io.Reader = NewSnapshotReader(in)
		if seed%2 == 1 {
			out = iotest.OneByteReader(out)
		}
		got, err := io.ReadAll(out)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("seed %d: %d of %d bytes, %v", seed, len(got), len(want), err)
		}
		if rest, _ := io.ReadAll(in); string(rest) != "next packet" {
			t.Fatalf("seed %d: left %q", seed, rest)
		}
		if n, err := out.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Fatalf("seed %d: behind the end: %d, %v", seed, n, err)
		}
	}
}

func TestSnapshotReaderCut(t *testing.T) {
	wire := AppendSnapshotSignature(stream(rand.New(rand.NewPCG(7, 7))))
	for n := range wire {
		if got, err := io.ReadAll(NewSnapshotReader(bufio.NewReader(bytes.NewReader(wire[:n])))); err != io.ErrUnexpectedEOF || !bytes.HasPrefix(wire, got) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
}

func TestSnapshotReaderMalformed(t *testing.T) {
	for name, text := range map[string]string{
		"negative sessions":        "ffffffff",
		"negative table":           "00000000 fffffffe",
		"negative list":            "00000000 00000001 0000000000000001 fffffffe",
		"negative scheme":          "00000000 00000001 0000000000000001 00000001 0000001f fffffffe",
		"negative id":              "00000000 00000001 0000000000000001 00000001 0000001f 00000000 fffffffe",
		"negative path":            "00000000 00000000 ffffffff",
		"path of one letter":       "00000000 00000000 00000001 61",
		"negative data":            "00000000 00000000 00000000 fffffffe",
		"wrong signature":          "00000000 00000000 00000001 2f 0000000a 42656e57617348657266",
		"signature's wrong length": "00000000 00000000 00000001 2f 0000000b 42656e5761734865726500",
	} {
		if _, err := io.ReadAll(NewSnapshotReader(bufio.NewReader(bytes.NewReader(unhex(t, text))))); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func BenchmarkSnapshotReader(b *testing.B) {
	node := jute.AppendInt64(jute.AppendBuffer(jute.AppendString(nil, "/some/node-0000000001"), make([]byte, 100)), -1)
	node = append(node, make([]byte, 60)...)
	wire := append(make([]byte, 8), bytes.Repeat(node, 10_000)...)
	wire = AppendSnapshotSignature(jute.AppendString(wire, "/"))
	b.SetBytes(int64(len(wire)))
	buf := make([]byte, 64<<10)
	for b.Loop() {
		r := NewSnapshotReader(bufio.NewReaderSize(bytes.NewReader(wire), 64<<10))
		for {
			if _, err := r.Read(buf); err == io.EOF {
				break
			} else if err != nil {
				b.Fatal(err)
			}
		}
	}
}
