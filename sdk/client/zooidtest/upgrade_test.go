package zooidtest_test

import (
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/client/zooidtest"
	"github.com/zooid-project/zooid/sdk/plugintest"
	"github.com/zooid-project/zooid/sdk/wire"
)

// testdata/data has a data directory for each version and node store: as a server of that version left it that was killed, with part of its state in the
// store or a snapshot and the rest in the log alone. The .json file beside it is what clients were told. Every later version opens them: they are
// added to at each release, by
//
//	go test ./sdk/client/zooidtest -run TestOpensDataOfOlderVersions -write-data v0.1.0
//
// and never written again.
const oldData = "testdata/data"

var writeData = flag.String("write-data", "", "write "+oldData+"/VERSION with this build; it must not be there yet")

// content is what a data directory must have.
type content struct {
	Epoch     int64 // of the server that was killed
	Last      int64 // its last zxid
	SessionID int64
	Password  []byte
	Nodes     []node
}

type node struct {
	Path string
	Data []byte // nil is null
	Stat wire.Stat
	ACL  []wire.ACL
}

var (
	joe          = []client.Auth{{Scheme: "digest", Data: []byte("joe:secret")}}
	oldDataLines = []zooidtest.Option{zooidtest.Set("maxSessionTimeout", "3600000"), zooidtest.Set("extendedTypesEnabled", "true"), zooidtest.Set("plugin.log.segmentSize", "64KiB")}
)

func TestOpensDataOfOlderVersions(t *testing.T) {
	if *writeData != "" {
		for _, nodes := range []string{"pebble", "memory"} {
			writeOldData(t, filepath.Join(oldData, *writeData), nodes)
		}
	}
	eachOldData(t, opensOldData)
}

// eachOldData runs a test for each version and node store, on a copy of its data directory.
func eachOldData(t *testing.T, test func(t *testing.T, data, nodes string, want content)) {
	t.Helper()
	dirs, err := filepath.Glob(oldData + "/*/*/manifest")
	if err != nil || len(dirs) < 2 {
		t.Fatalf("%d data directories: %v", len(dirs), err)
	}
	for _, manifest := range dirs {
		dir := filepath.Dir(manifest)
		t.Run(strings.TrimPrefix(filepath.ToSlash(dir), oldData+"/"), func(t *testing.T) {
			text, err := os.ReadFile(dir + ".json")
			if err != nil {
				t.Fatal(err)
			}
			var want content
			if err := json.Unmarshal(text, &want); err != nil {
				t.Fatal(err)
			}
			data := t.TempDir()
			if err := os.CopyFS(data, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			test(t, data, filepath.Base(dir), want)
		})
	}
}

func opensOldData(t *testing.T, data, nodes string, want content) {
	s := zooidtest.Start(t, append(oldDataLines, zooidtest.OnDisk(data), zooidtest.Set("plugin.nodes", nodes), zooidtest.Set("4lw.commands.whitelist", "mntr"))...)
	if got := int64(s.Host().Status().Epoch); got != want.Epoch+1 {
		t.Errorf("epoch %d after epoch %d", got, want.Epoch)
	}
	if _, err := client.Dial(within(t), s.ConnectString(), client.Options{SessionID: want.SessionID, Password: make([]byte, 16), StayLost: true}); !errors.Is(err, wire.ErrSessionExpired) {
		t.Errorf("the session with a wrong password: %v", err)
	}
	// Opened as it was found, and opened again as this version has written it.
	c := dial(t, s, client.Options{SessionID: want.SessionID, Password: want.Password, SessionTimeout: time.Hour, Auth: joe})
	for _, opened := range []string{"first", "again"} {
		connected(t, c)
		if got := c.SessionID(); got != want.SessionID {
			t.Fatalf("%s: session 0x%x, want 0x%x", opened, got, want.SessionID)
		}
		got := readContent(t, c)
		if opened == "first" && len(got) != len(want.Nodes) {
			t.Errorf("%d nodes, want %d", len(got), len(want.Nodes))
		}
		for _, n := range want.Nodes {
			i := slices.IndexFunc(got, func(g node) bool { return g.Path == n.Path })
			switch {
			case i < 0:
				t.Errorf("%s: %s is missing", opened, n.Path)
			case n.Path == "/" && opened == "again": // has another child by now
			case !reflect.DeepEqual(got[i], n):
				t.Errorf("%s: %+v\nwant %+v", opened, got[i], n)
			}
		}
		if stat := set(t, c, "/new", opened); stat.Mzxid <= want.Last {
			t.Errorf("%s: zxid 0x%x after 0x%x", opened, stat.Mzxid, want.Last)
		}
		has(t, s, map[string]float64{"state_digest_known": 1})
		if opened == "first" {
			s.Restart()
		}
	}
	if stat := set(t, dial(t, s, client.Options{Auth: joe}), "/new", "third"); stat.Version != 2 {
		t.Errorf("/new has been set %d times, want 2", stat.Version)
	}
}

// A lone server's data of an older version becomes an ensemble's as the operator's guide says: new servers observe it first. All three have everything then, and the session of then goes on at any of them.
func TestEnsembleOpensDataOfOlderVersions(t *testing.T) {
	eachOldData(t, func(t *testing.T, data, nodes string, want content) {
		e := zooidtest.StartEnsemble(t, 1, 2, append(oldDataLines, zooidtest.Set("plugin.nodes", nodes), zooidtest.On(1, zooidtest.OnDisk(data)))...)
		for i, s := range e.Servers {
			c := dial(t, s, client.Options{SessionID: want.SessionID, Password: want.Password, SessionTimeout: time.Hour, Auth: joe})
			if got := c.SessionID(); got != want.SessionID {
				t.Fatalf("server %d: session 0x%x, want 0x%x", i+1, got, want.SessionID)
			}
			if got := readContent(t, c); !reflect.DeepEqual(got, want.Nodes) {
				t.Errorf("server %d has\n%+v\nwant\n%+v", i+1, got, want.Nodes)
			}
		}
		if stat := set(t, dial(t, e.Servers[2], client.Options{}), "/between", "new"); stat.Mzxid <= want.Last {
			t.Errorf("zxid 0x%x after 0x%x", stat.Mzxid, want.Last)
		}
	})
}

// readContent reads all nodes, sorted by path. /zookeeper/config is the configuration's.
func readContent(t *testing.T, c *client.Client) (nodes []node) {
	t.Helper()
	var visit func(path string)
	visit = func(path string) {
		data, stat, err := c.Get(within(t), path)
		if err != nil {
			t.Fatalf("get %s: %v", path, err)
		}
		acl, _, err := c.GetACL(within(t), path)
		if err != nil {
			t.Fatalf("getACL %s: %v", path, err)
		}
		if path != "/zookeeper/config" {
			nodes = append(nodes, node{path, data, stat, acl})
		}
		names, _, err := c.Children(within(t), path)
		if err != nil {
			t.Fatalf("ls %s: %v", path, err)
		}
		for _, name := range names {
			visit(strings.TrimSuffix(path, "/") + "/" + name)
		}
	}
	visit("/")
	slices.SortFunc(nodes, func(a, b node) int { return strings.Compare(a.Path, b.Path) })
	return nodes
}

// writeOldData lets this version write a data directory: half in a first life that ends well, half in a second one that is killed.
func writeOldData(t *testing.T, version, nodes string) {
	dir := filepath.Join(version, nodes)
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("%s is there already (%v): data of a released version stays as it is", dir, err)
	}
	disk := plugintest.NewDisk()
	s := zooidtest.Start(t, append(oldDataLines, zooidtest.OnFS(disk), zooidtest.Set("plugin.nodes", nodes), zooidtest.Set("snapCount", "20"), zooidtest.Set("tickTime", "50"))...)
	c := dial(t, s, client.Options{SessionTimeout: time.Hour, Auth: joe})
	create := func(path string, data []byte, o client.CreateOptions) {
		t.Helper()
		if _, err := c.Create(within(t), path, data, o); err != nil {
			t.Fatalf("create %s: %v", path, err)
		}
	}
	fill := func(life string) {
		t.Helper()
		create("/"+life, []byte(life), client.CreateOptions{})
		create("/"+life+"/null", nil, client.CreateOptions{})
		create("/"+life+"/empty", []byte{}, client.CreateOptions{})
		create("/"+life+"/binary", []byte{0, 1, 0xff, '\n'}, client.CreateOptions{})
		create("/"+life+"/\\ü/deep/er", []byte(strings.Repeat("long", 1000)), client.CreateOptions{Parents: true})
		create("/"+life+"/joe", []byte("joe's"), client.CreateOptions{ACL: wire.CreatorAllACL})
		create("/"+life+"/ephemeral", []byte("e"), client.CreateOptions{Mode: wire.Ephemeral})
		create("/"+life+"/box", nil, client.CreateOptions{Mode: wire.Container})
		create("/"+life+"/box/child", nil, client.CreateOptions{})
		create("/"+life+"/brief", nil, client.CreateOptions{Mode: wire.PersistentTTL, TTL: 30 * 365 * 24 * time.Hour})
		for range 3 {
			create("/"+life+"/sequence-", nil, client.CreateOptions{Mode: wire.PersistentSequential})
			create("/"+life+"/sequence-", nil, client.CreateOptions{Mode: wire.EphemeralSequential})
		}
		for _, name := range []string{"changed", "dropped"} {
			create("/"+life+"/"+name, []byte("0"), client.CreateOptions{})
			set(t, c, "/"+life+"/"+name, "1")
		}
		if _, err := c.SetACL(within(t), "/"+life+"/changed", []wire.ACL{{Perms: wire.PermRead | wire.PermAdmin, ID: wire.ID{Scheme: "world", ID: "anyone"}}, {Perms: wire.PermAll, ID: wire.ID{Scheme: "ip", ID: "127.0.0.0/8"}}}, 0); err != nil {
			t.Fatal(err)
		}
		ended := dial(t, s, client.Options{})
		if _, err := ended.Create(within(t), "/"+life+"/gone", nil, client.CreateOptions{Mode: wire.Ephemeral}); err != nil {
			t.Fatal(err)
		}
		if err := ended.Close(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	fill("first")
	create("/zookeeper/quota/first", nil, client.CreateOptions{})
	create("/zookeeper/quota/first/zookeeper_limits", []byte("count=1000,bytes=-1"), client.CreateOptions{})
	snapshots := func(n int) {
		t.Helper()
		if nodes == "memory" { // the other one flushes when it stops
			eventually(t, "a snapshot", func() bool { return len(plugintest.Files(disk.Memory(), "/data/snapshots")) == n })
		}
	}
	snapshots(1)
	// From now on nothing is flushed.
	if err := s.TryRestart(zooidtest.Set("plugin.machine.dirtyAge", "1h"), zooidtest.Set("snapCount", "1000000")); err != nil {
		t.Fatal(err)
	}
	connected(t, c)
	create("/between", nil, client.CreateOptions{})
	snapshots(2) // a new epoch begins with one
	flushed := int64(s.Host().Machine().Flushed())
	fill("second")
	set(t, c, "/first/changed", "2")
	if err := c.Delete(within(t), "/first/dropped", client.AnyVersion); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Multi(within(t), client.CheckOp("/second/changed", 1), client.SetOp("/second/changed", []byte("2"), 1), client.DeleteOp("/second/dropped", 1)); err != nil {
		t.Fatal(err)
	}
	status := s.Host().Status()
	if got := int64(s.Host().Machine().Flushed()); got != flushed || got >= int64(status.LastApplied) {
		t.Fatalf("flushed up to 0x%x, it was 0x%x, of 0x%x", got, flushed, int64(status.LastApplied))
	}
	id, password := c.Session()
	want := content{Epoch: int64(status.Epoch), Last: int64(status.LastApplied), SessionID: id, Password: password, Nodes: readContent(t, c)}
	disk.Cut()
	s.Kill()

	copyOut(t, disk.Memory(), "/data", dir)
	text, err := json.MarshalIndent(want, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+".json", append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

func copyOut(t *testing.T, mem *vfs.MemFS, from, to string) {
	t.Helper()
	for _, path := range plugintest.Files(mem, from) {
		f, err := mem.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, info.Size())
		if _, err := f.ReadAt(b, 0); err != nil && len(b) > 0 {
			t.Fatal(err)
		}
		f.Close()
		target := filepath.Join(to, filepath.FromSlash(strings.TrimPrefix(path, from)))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
