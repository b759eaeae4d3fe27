package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/zooid-project/zooid/kernel"
)

const dir, logDir = "/data", "/log"

var ours = Manifest{Server: 1, Log: Store{"file", 1}, Snapshots: Store{"file", 1}, Nodes: Store{"pebble", 3}}

func put(t *testing.T, fs vfs.FS, path, content string) {
	t.Helper()
	if err := fs.MkdirAll(fs.PathDir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestNewDirectoryGetsAManifest(t *testing.T) {
	fs := vfs.NewMem()
	put(t, fs, dir+"/myid", "1\n") // what a configuration puts there is no data
	put(t, fs, dir+"/zoo.cfg.dynamic", "server.1=...")
	made, err := Check(fs, dir, logDir, ours)
	if err != nil {
		t.Fatal(err)
	}
	if made.Cluster == (kernel.ClusterID{}) {
		t.Error("the cluster has no id")
	}
	again, err := Check(fs, dir, logDir, ours)
	if err != nil || again != made {
		t.Fatalf("%+v, %v; want %+v", again, err, made)
	}
	other, err := Check(vfs.NewMem(), "/", "/", ours)
	if err != nil || other.Cluster == made.Cluster {
		t.Fatalf("two clusters have the id %v: %v", made.Cluster, err)
	}
	// A cluster that is known: a server that joins takes it over.
	want := ours
	want.Cluster = made.Cluster
	if joined, err := Check(vfs.NewMem(), "/", "/", want); err != nil || joined != want {
		t.Fatal(joined, err)
	}
}

// Every refusal has its type, says what to do, and leaves everything as it was.
func TestRefusals(t *testing.T) {
	prepared := func(t *testing.T) *vfs.MemFS {
		fs := vfs.NewMem()
		if _, err := Check(fs, dir, logDir, ours); err != nil {
			t.Fatal(err)
		}
		return fs
	}
	empty := func(*testing.T) *vfs.MemFS { return vfs.NewMem() }
	for _, c := range []struct {
		name   string
		fs     func(*testing.T) *vfs.MemFS
		change func(t *testing.T, fs vfs.FS, want *Manifest)
		as     any
		says   []string
	}{
		{"another server", prepared, func(_ *testing.T, _ vfs.FS, want *Manifest) { want.Server = 2 }, new(*ServerError), []string{dir, "server 1", "server 2", "myid"}},
		{"another cluster", prepared, func(_ *testing.T, _ vfs.FS, want *Manifest) { want.Cluster[3] = 7 }, new(*ClusterError), []string{dir, "00000007"}},
		{"another log", prepared, func(_ *testing.T, _ vfs.FS, want *Manifest) { want.Log.Plugin = "pebble" }, new(*PluginError), []string{dir, "Set plugin.log=file"}},
		{"another snapshot store", prepared, func(_ *testing.T, _ vfs.FS, want *Manifest) { want.Snapshots.Plugin = "apache" }, new(*PluginError), []string{"Set plugin.snapshot=file"}},
		{"another node store", prepared, func(_ *testing.T, _ vfs.FS, want *Manifest) { want.Nodes.Plugin = "memory" }, new(*PluginError), []string{"Set plugin.nodes=pebble"}},
		{"older log", prepared, func(_ *testing.T, _ vfs.FS, want *Manifest) { want.Log.Format = 2 }, new(*VersionError), []string{"log store file", "version 1", "version 2", "older build"}},
		{"newer snapshots", prepared, func(_ *testing.T, _ vfs.FS, want *Manifest) { want.Snapshots.Format = 0 }, new(*VersionError), []string{"snapshot store file", "newer build"}},
		{"newer nodes", prepared, func(_ *testing.T, _ vfs.FS, want *Manifest) { want.Nodes.Format = 2 }, new(*VersionError), []string{"nodes store pebble", "newer build"}},
		{"newer manifest", prepared, func(t *testing.T, fs vfs.FS, _ *Manifest) {
			put(t, fs, dir+"/manifest", "zooid manifest 2\nwhatever that will be\n")
		}, new(*VersionError), []string{dir, "manifest", "version 2", "newer build"}},
		{"damaged", prepared, func(t *testing.T, fs vfs.FS, _ *Manifest) {
			put(t, fs, dir+"/manifest", strings.Replace(string(ours.Encode()), "server 1", "server 3", 1))
		}, new(*DamagedError), []string{dir + "/manifest", "damaged", "backup"}},
		{"cut off", prepared, func(t *testing.T, fs vfs.FS, _ *Manifest) { put(t, fs, dir+"/manifest", string(ours.Encode()[:40])) }, new(*DamagedError), nil},
		{"emptied", prepared, func(t *testing.T, fs vfs.FS, _ *Manifest) { put(t, fs, dir+"/manifest", "") }, new(*DamagedError), nil},
		{"Apache's data", empty, func(t *testing.T, fs vfs.FS, _ *Manifest) { put(t, fs, dir+"/version-2/snapshot.0", "ZKSN") }, new(*ApacheError), []string{dir + "/version-2", "Apache", "not touched"}},
		{"Apache's log", empty, func(t *testing.T, fs vfs.FS, _ *Manifest) { put(t, fs, logDir+"/version-2/log.1", "ZKLG") }, new(*ApacheError), []string{logDir + "/version-2"}},
		{"our log alone", empty, func(t *testing.T, fs vfs.FS, _ *Manifest) { put(t, fs, logDir+"/log/segment.00000001", "x") }, new(*MissingError), []string{logDir + "/log", dir, "backup"}},
		{"our nodes alone", empty, func(t *testing.T, fs vfs.FS, _ *Manifest) { put(t, fs, dir+"/nodes/x", "x") }, new(*MissingError), []string{dir + "/nodes"}},
		{"our snapshots alone", empty, func(t *testing.T, fs vfs.FS, _ *Manifest) { put(t, fs, dir+"/snapshots/snapshot.1", "x") }, new(*MissingError), []string{dir + "/snapshots"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs := c.fs(t)
			want := ours
			c.change(t, fs, &want)
			before := fs.String()
			_, err := Check(fs, dir, logDir, want)
			if !errors.As(err, c.as) {
				t.Fatalf("%v (%T), want %T", err, err, c.as)
			}
			for _, s := range c.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%q does not say %q", err, s)
				}
			}
			if fs.String() != before {
				t.Errorf("something was changed:\n%s\nbefore:\n%s", fs, before)
			}
		})
	}
}

func TestNodeStoreAheadOfItsLog(t *testing.T) {
	for _, c := range []struct {
		flushed, last kernel.Zxid
		refused       bool
	}{{0, 0, false}, {5, 9, false}, {9, 9, false}, {10, 9, true}, {kernel.MakeZxid(2, 1), kernel.MakeZxid(1, 700), true}} {
		err := CheckPositions(dir, c.flushed, c.last)
		var ahead *AheadError
		if errors.As(err, &ahead) != c.refused {
			t.Errorf("flushed %v, log %v: %v", c.flushed, c.last, err)
		}
		if c.refused && !strings.Contains(err.Error(), c.flushed.String()) {
			t.Errorf("%q does not name %v", err, c.flushed)
		}
	}
}

// A crash at any moment of Save leaves the old or the new manifest.
func TestSaveIsAtomic(t *testing.T) {
	old, next := ours, ours
	next.Nodes.Format = 4
	for fail := 0; ; fail++ {
		mem := vfs.NewCrashableMem()
		if err := errors.Join(mem.MkdirAll(dir, 0o755), Save(mem, dir, old)); err != nil {
			t.Fatal(err)
		}
		fs := &failing{FS: mem, left: fail}
		err := Save(fs, dir, next)
		for percent := range 2 {
			found, ok, loadErr := Load(mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent * 100, RNG: rand.New(rand.NewPCG(1, 1))}), dir)
			if loadErr != nil || !ok || (found != old && found != next) || (err == nil && found != next) {
				t.Fatalf("failure %d (%v): found %+v, %v, %v", fail, err, found, ok, loadErr)
			}
		}
		if err == nil {
			if fail < 3 {
				t.Fatalf("only %d steps were seen", fail)
			}
			return
		}
	}
}

// failing fails every name operation and directory sync after the first left ones.
type failing struct {
	vfs.FS
	left int
}

func (f *failing) step() error {
	if f.left--; f.left < 0 {
		return errors.New("injected")
	}
	return nil
}

func (f *failing) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.step(); err != nil {
		return nil, err
	}
	return f.FS.Create(name, c)
}

func (f *failing) Rename(from, to string) error {
	if err := f.step(); err != nil {
		return err
	}
	return f.FS.Rename(from, to)
}

func (f *failing) OpenDir(name string) (vfs.File, error) {
	if err := f.step(); err != nil {
		return nil, err
	}
	return f.FS.OpenDir(name)
}

func FuzzDecode(f *testing.F) {
	f.Add(ours.Encode())
	f.Add(Manifest{Server: -5, Log: Store{"exec:/opt/my \"log\"\n", -1}}.Encode())
	f.Add([]byte("zooid manifest 1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b)
		if err == nil && !bytes.Equal(m.Encode(), b) {
			t.Fatal("something was lost")
		}
	})
}

func ExampleCheck() {
	fs := vfs.NewMem()
	want := Manifest{Server: 1, Log: Store{"file", 1}, Snapshots: Store{"file", 1}, Nodes: Store{"pebble", 1}}
	if _, err := Check(fs, "/data", "/data", want); err != nil {
		fmt.Println(err)
	}
	want.Log.Plugin = "memory"
	_, err := Check(fs, "/data", "/data", want)
	fmt.Println(strings.Split(err.Error(), ";")[0])
	// Output: /data was written with plugin.log=file, and plugin.log=memory is configured. Set plugin.log=file
}
