package snapshot

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/plugintest"
)

func open(env kernel.Env) (kernel.SnapshotStore, error) {
	s, err := Open(env.FS, env.DataDir, nil)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func TestConformance(t *testing.T) { plugintest.SnapshotStore(t, open) }

func TestRealFiles(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(vfs.Default, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w, err := s.Create()
	if err != nil {
		t.Fatal(err)
	}
	content := bytes.Repeat([]byte("state "), 2<<20)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(0x500000003); err != nil {
		t.Fatal(err)
	}
	infos, err := s.List()
	if err != nil || len(infos) != 1 || infos[0].Zxid != 0x500000003 {
		t.Fatal(infos, err)
	}
	r, err := s.Open(infos[0])
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, content) {
		t.Fatal("other content", err)
	}
	var out strings.Builder
	if err := Verify(vfs.Default, dir+"/snapshots/snapshot.500000003", &out); err != nil || !strings.Contains(out.String(), "0x500000003") {
		t.Fatal(out.String(), err)
	}
}

func TestUnknownVersionIsRefused(t *testing.T) {
	file := encode(5, []byte("content"))
	le.PutUint32(file[8:], Format+1)
	chain := frameChain(file[:12], nil, 0)
	le.PutUint32(file[12:], chain)
	_, err := io.ReadAll(&frames{r: bytes.NewReader(file)})
	var version *VersionError
	if !errors.As(err, &version) || version.Version != Format+1 {
		t.Fatal(err)
	}
}

// encode makes a whole file, a frame for each piece.
func encode(z kernel.Zxid, pieces ...[]byte) []byte {
	b, chain := appendHeader(nil)
	content := uint64(0)
	for _, p := range pieces {
		start := len(b)
		b = append(append(b, make([]byte, frameHeader)...), p...)
		chain = putFrameHeader(b[start:], chain)
		content += uint64(len(p))
	}
	return appendTrailer(b, chain, z, content)
}

func FuzzFrames(f *testing.F) {
	f.Add(encode(1))
	f.Add(encode(5, []byte("a"), []byte("bcd")))
	f.Add(encode(5, make([]byte, 300))[:100])
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &frames{r: bytes.NewReader(b)}
		content, err := io.ReadAll(r)
		if err != nil {
			return
		}
		// A file that is accepted holds exactly its content: the same frames encode to the same bytes.
		var pieces [][]byte
		for at := headerSize; le.Uint32(b[at:]) != 0; {
			n := int(le.Uint32(b[at:]))
			pieces = append(pieces, b[at+frameHeader:][:n])
			at += frameHeader + n
		}
		if !bytes.Equal(bytes.Join(pieces, nil), content) || !bytes.Equal(encode(r.zxid, pieces...), b) {
			t.Fatal("something was lost")
		}
	})
}
