package plugintest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// counter is a store of one number, with the mistakes that the kit is there to find.
type counter struct {
	noSync, noDirSync, inPlace, ignoresErrors, namesNoFile bool
}

func (c counter) save(fs vfs.FS, n int) error {
	path := Dir + "/counter"
	tmp := path + ".tmp"
	if c.inPlace {
		tmp = path
	}
	f, err := fs.Create(tmp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("create %s: %w", tmp, err)
	}
	_, err = f.Write(bytes.Repeat([]byte{byte(n)}, 100))
	if err == nil && !c.noSync {
		err = f.Sync()
	}
	f.Close()
	if err == nil && !c.inPlace {
		err = fs.Rename(tmp, path)
	}
	if err == nil && !c.noDirSync {
		var d vfs.File
		if d, err = fs.OpenDir(Dir); err == nil {
			err = d.Sync()
			d.Close()
		}
		if err != nil && !c.namesNoFile {
			err = fmt.Errorf("sync %s: %w", Dir, err)
		}
	} else if err != nil && !c.namesNoFile {
		err = fmt.Errorf("save %s: %w", tmp, err)
	}
	if c.ignoresErrors && errors.Is(err, ErrInjected) {
		return nil
	}
	return err
}

func (c counter) scenario() Scenario {
	begun, confirmed := 0, 0
	return Scenario{
		Run: func(fs vfs.FS) error {
			for n := 1; n <= 3; n++ {
				begun = n
				if err := c.save(fs, n); err != nil {
					return err
				}
				confirmed = n
			}
			return nil
		},
		Check: func(fs vfs.FS) error {
			n := 0
			if f, err := fs.Open(Dir + "/counter"); err == nil {
				defer f.Close()
				b := make([]byte, 101)
				size, _ := f.ReadAt(b, 0)
				if size != 100 || !bytes.Equal(b[:100], bytes.Repeat(b[:1], 100)) {
					return fmt.Errorf("the file is torn: %x", b[:size])
				}
				n = int(b[0])
			}
			if n < confirmed || n > begun {
				return fmt.Errorf("found %d, confirmed %d, begun %d", n, confirmed, begun)
			}
			return nil
		},
	}
}

func TestTheKitFindsMistakes(t *testing.T) {
	for _, c := range []struct {
		name            string
		store           counter
		faults, crashes string // what is said; empty: nothing is wrong
	}{
		{"no mistake", counter{}, "", ""},
		{"no sync", counter{noSync: true}, "torn", "torn"},
		{"no directory sync", counter{noDirSync: true}, "found", "found"},
		{"in place", counter{inPlace: true}, "torn", "torn"},
		{"errors ignored", counter{ignoresErrors: true}, "found", ""},
		{"errors without a name", counter{namesNoFile: true}, "does not name the file", ""},
	} {
		for kind, run := range map[string]func(points, func() (*Disk, Scenario)) (int, error){"faults": faults, "crashes": crashes} {
			want := map[string]string{"faults": c.faults, "crashes": c.crashes}[kind]
			n, err := run(allOf, emptyDisk(c.store.scenario))
			if (err == nil) != (want == "") || (err != nil && !strings.Contains(err.Error(), want)) {
				t.Errorf("%s, %s: %v; want %q", c.name, kind, err, want)
			}
			if err == nil && n < 12 {
				t.Errorf("%s, %s: only %d operations were seen", c.name, kind, n)
			}
			if err != nil {
				continue
			}
			if sample, err := run(points{2, 5}, emptyDisk(c.store.scenario)); err != nil || sample != (n+2)/5 {
				t.Errorf("%s, %s: a fifth of %d operations is %d: %v", c.name, kind, n, sample, err)
			}
		}
	}
}

func TestDiskGetsFull(t *testing.T) {
	d := NewDisk()
	f, err := d.Create("/a", vfs.WriteCategoryUnspecified)
	must(t, err)
	d.SetCapacity(100)
	if _, err := f.Write(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if n, err := f.Write([]byte("x")); n != 0 || !vfs.IsNoSpaceError(err) {
		t.Fatal(n, err)
	}
	g, err := d.OpenReadWrite("/a", vfs.WriteCategoryUnspecified)
	must(t, err)
	if _, err := g.WriteAt(make([]byte, 50), 50); err != nil {
		t.Fatalf("writing in place on a full disk: %v", err)
	}
	if _, err := g.WriteAt(make([]byte, 50), 51); !vfs.IsNoSpaceError(err) {
		t.Fatal(err)
	}
	must(t, d.Remove("/a"))
	if d.Used() != 0 {
		t.Fatalf("%d bytes are used", d.Used())
	}
}

func TestFlipBit(t *testing.T) {
	mem := vfs.NewCrashableMem()
	f, err := mem.Create("/a", vfs.WriteCategoryUnspecified)
	must(t, err)
	_, err = f.Write([]byte{0, 0, 0})
	must(t, err, FlipBit(mem, "/a", 12))
	b := make([]byte, 3)
	_, err = f.ReadAt(b, 0)
	must(t, err)
	if !bytes.Equal(b, []byte{0, 1 << 4, 0}) {
		t.Fatalf("%x", b)
	}
}
