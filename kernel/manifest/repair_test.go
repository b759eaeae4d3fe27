package manifest

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

var began = time.Date(2026, 11, 26, 6, 15, 0, 0, time.UTC)

func write(t *testing.T, fs vfs.FS, dir string, names ...string) {
	t.Helper()
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := writeDurably(fs, fs.PathJoin(dir, name), []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
}

func writeDurably(fs vfs.FS, path string, content []byte) error {
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

func TestSetAside(t *testing.T) {
	for scope, want := range map[Scope][2][]string{ // what goes, what stays
		Nodes:     {{"data/nodes"}, {"data/manifest", "data/words", "logs/log", "data/snapshots"}},
		Stores:    {{"data/nodes", "data/snapshots", "logs/log"}, {"data/manifest", "data/words"}},
		Directory: {{"data/nodes", "data/snapshots", "logs/log", "data/manifest", "data/words"}, {"data/myid"}},
	} {
		fs := vfs.NewMem()
		write(t, fs, "data", FileName, WordsFile, "myid")
		write(t, fs, "data/nodes", "a")
		write(t, fs, "data/snapshots", "b")
		write(t, fs, "logs/log", "c")
		r := NewRepair(scope, errors.New("for a test"), began)
		moved, err := r.SetAside(fs, "data", "logs")
		if err != nil || len(moved) != len(want[0]) {
			t.Fatalf("%s: %v, %v", scope, moved, err)
		}
		for _, path := range want[0] {
			aside := fs.PathJoin(fs.PathJoin(fs.PathDir(path), r.Aside), fs.PathBase(path))
			if there(fs, path) || !there(fs, aside) {
				t.Errorf("%s: %s has not gone to %s", scope, path, aside)
			}
		}
		for _, path := range want[1] {
			if !there(fs, path) {
				t.Errorf("%s: %s has gone", scope, path)
			}
		}
		// What a server has made since stays, however often the repair begins again.
		write(t, fs, "data/nodes", "new")
		if moved, err := r.SetAside(fs, "data", "logs"); err != nil || len(moved) != 0 || !there(fs, "data/nodes/new") {
			t.Errorf("%s, again: %v, %v", scope, moved, err)
		}
	}
}

// A crash anywhere in a repair leaves the data where it was, or a repair that the next start brings to its end; no file is lost or there twice.
func TestRepairCrashes(t *testing.T) {
	for fail := 0; ; fail++ {
		mem := vfs.NewCrashableMem()
		write(t, mem, "/")
		write(t, mem, "/data", FileName)
		write(t, mem, "/data/log", "a")
		write(t, mem, "/data/nodes", "b")
		for _, dir := range []string{"/", "/data", "/data/log", "/data/nodes"} {
			if err := syncDir(mem, dir); err != nil {
				t.Fatal(err)
			}
		}
		fs := &failing{FS: mem, left: fail}
		r := NewRepair(Stores, errors.New("for a test"), began)
		err := r.Save(fs, "/data")
		if err == nil {
			_, err = r.SetAside(fs, "/data", "/data")
		}
		for percent := range 2 {
			disk := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent * 100, RNG: rand.New(rand.NewPCG(1, 1))})
			found, begun, loadErr := LoadRepair(disk, "/data", began.Add(time.Hour))
			if loadErr != nil {
				t.Fatalf("failure %d: %v", fail, loadErr)
			}
			at := "/data"
			if begun {
				if at = "/data/" + r.Aside; found.Aside != r.Aside {
					t.Fatalf("failure %d: %+v", fail, found)
				}
				if _, err := found.SetAside(disk, "/data", "/data"); err != nil {
					t.Fatalf("failure %d: %v", fail, err)
				}
			}
			for _, name := range []string{"/log/a", "/nodes/b"} {
				if !there(disk, at+name) || begun && there(disk, "/data"+name) {
					t.Fatalf("failure %d (%v), begun %v: %s\n%s", fail, err, begun, name, disk)
				}
			}
		}
		if err == nil {
			if fail < 6 {
				t.Fatalf("only %d steps were seen", fail)
			}
			return
		}
	}
}

func TestRepairForms(t *testing.T) {
	fs := vfs.NewMem()
	write(t, fs, "data")
	if _, found, err := LoadRepair(fs, "data", began); found || err != nil {
		t.Fatalf("none: %v, %v", found, err)
	}
	want := NewRepair(Nodes, errors.New("a \"reason\"\nof two lines"), began)
	if err := want.Save(fs, "data"); err != nil {
		t.Fatal(err)
	}
	if got, found, err := LoadRepair(fs, "data", began); got != want || !found || err != nil {
		t.Fatalf("%+v, %v, %v", got, found, err)
	}
	for name, b := range map[string][]byte{"empty": {}, "cut": want.Encode()[:40], "changed": append([]byte("y"), want.Encode()[1:]...), "elsewhere": Repair{Aside: asidePrefix + "../x", Scope: Nodes}.Encode(),
		"not aside": Repair{Aside: "log", Scope: Nodes}.Encode(), "another scope": Repair{Aside: asidePrefix, Scope: "x"}.Encode()} {
		if _, err := DecodeRepair(b); err == nil {
			t.Errorf("%s: accepted", name)
		}
		// One that cannot be read is not passed over: all stores go.
		if err := replace(fs, "data", RepairFile, b); err != nil {
			t.Fatal(err)
		}
		got, found, err := LoadRepair(fs, "data", began)
		if err != nil || !found || got.Scope != Stores {
			t.Errorf("%s: %+v, %v, %v", name, got, found, err)
		}
		if again, _, err := LoadRepair(fs, "data", began.Add(time.Hour)); again != got || err != nil {
			t.Errorf("%s: read again it is %+v, %v", name, again, err)
		}
	}
	for range 2 {
		if err := want.Done(fs, "data"); err != nil {
			t.Fatal(err)
		}
	}
	if _, found, _ := LoadRepair(fs, "data", began); found {
		t.Error("it is still there")
	}
}

func TestWords(t *testing.T) {
	fs := vfs.NewMem()
	write(t, fs, "data")
	long, short := []byte("a long record of what was promised"), []byte("short")
	for _, words := range [][]byte{long, short, {}} {
		w, _, err := OpenWords(fs, "data", 3)
		if err == nil {
			err = errors.Join(w.Save(words), w.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		w, saved, err := OpenWords(fs, "data", 3)
		if err != nil || saved == nil || string(saved) != string(words) {
			t.Fatalf("%q, %v; want %q", saved, err, words)
		}
		_ = w.Close()
	}
	// Those of another server, or what a crash has left half written, are none.
	if w, saved, err := OpenWords(fs, "data", 4); err != nil || saved != nil {
		t.Errorf("another server's: %q, %v", saved, err)
	} else {
		_ = w.Close()
	}
	b := encodeWords(3, long)
	b[30] ^= 1
	if err := writeDurably(fs, "data/"+WordsFile, b); err != nil {
		t.Fatal(err)
	}
	if w, saved, err := OpenWords(fs, "data", 3); err != nil || saved != nil {
		t.Errorf("damaged: %q, %v", saved, err)
	} else {
		_ = w.Close()
	}
}

func FuzzRepair(f *testing.F) {
	f.Add(NewRepair(Stores, errors.New("x is damaged"), began).Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := DecodeRepair(b); err == nil && string(r.Encode()) != string(b) {
			t.Fatalf("%q decodes to %+v", b, r)
		}
	})
}

func FuzzWords(f *testing.F) {
	f.Add(encodeWords(3, []byte("words")))
	f.Fuzz(func(t *testing.T, b []byte) {
		server, words, err := decodeWords(b)
		if err == nil && string(encodeWords(server, words)) != string(b[:wordsHeader+len(words)+4]) {
			t.Fatalf("%x decodes to %d, %x", b, server, words)
		}
	})
}
