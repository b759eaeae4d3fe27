package external

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/plugintest"
	"github.com/zooid-project/zooid/stores/file"
	"github.com/zooid-project/zooid/stores/memory"
)

// childDir is set in the other process, which is this test binary again: it serves the file store of that directory.
const childDir = "ZOOID_TEST_LOG_PLUGIN_DIR"

var handshake = plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "ZOOID_PLUGIN", MagicCookieValue: "log"}

func TestMain(m *testing.M) {
	dir := os.Getenv(childDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	store, err := openFile(kernel.Env{FS: vfs.Default, LogDir: dir, DataDir: dir, Server: 1})
	if err != nil {
		slog.Error("the plugin cannot open its log", "error", err)
		os.Exit(1)
	}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: handshake,
		Plugins:         plugin.PluginSet{"log": &logPlugin{store: store}},
		GRPCServer:      plugin.DefaultGRPCServer,
		Logger:          hclog.NewNullLogger(),
	})
}

// openFile opens the file store as a server does.
func openFile(env kernel.Env) (kernel.LogStore, error) {
	factory, err := kernel.Lookup(kernel.KindLogStore, "file")
	if err != nil {
		return nil, err
	}
	options, err := kernel.NewOptions("log", "file", factory.Options, nil, nil)
	if err != nil {
		return nil, err
	}
	if env.Logger == nil {
		env.Logger = slog.New(slog.DiscardHandler)
	}
	return factory.New(env, options)
}

// spawn starts the other process on dir.
func spawn(t testing.TB, dir string) (kernel.LogStore, *exec.Cmd) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  handshake,
		Plugins:          plugin.PluginSet{"log": &logPlugin{}},
		Cmd:              cmd,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         true,
		Logger:           hclog.NewNullLogger(),
	})
	t.Cleanup(client.Kill)
	protocol, err := client.Client()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := protocol.Dispense("log")
	if err != nil {
		t.Fatal(err)
	}
	return raw.(kernel.LogStore), cmd
}

// inProcess serves stores by the protocol, without a process of their own, and returns a function that puts it around a store.
func inProcess(t testing.TB) (wrap func(kernel.LogStore) (kernel.LogStore, error)) {
	t.Helper()
	listener := bufconn.Listen(64 << 10)
	server, stores := grpc.NewServer(), &logServer{}
	server.RegisterService(&service, stores)
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.Serve(listener)
	}()
	conn, err := grpc.NewClient("passthrough:///log", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		server.Stop()
		<-served
	})
	count := 0
	return func(store kernel.LogStore) (kernel.LogStore, error) {
		count++
		name := fmt.Sprint(count)
		stores.add(name, store)
		return openStreamed(conn, name)
	}
}

// TestConformance: what a store promises holds through the protocol, its errors, faults, crashes and full disks included.
func TestConformance(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		wrap := inProcess(t)
		plugintest.LogStore(t, func(kernel.Env) (kernel.LogStore, error) { return wrap(memory.New()) })
	})
	t.Run("file", func(t *testing.T) {
		wrap := inProcess(t)
		plugintest.LogStoreSample(t, func(env kernel.Env) (kernel.LogStore, error) {
			store, err := file.Open(file.Config{FS: env.FS, Dir: env.LogDir, SegmentSize: file.MinSegmentSize})
			if err != nil {
				return nil, err
			}
			return wrap(store)
		}, kitStride)
	})
}

// write appends and syncs groups until count records are confirmed or an error comes, and returns the last confirmed zxid.
func write(s kernel.LogStore, count int) (confirmed kernel.Zxid, err error) {
	for range count / 16 {
		if err := s.Append(plugintest.Records(s.Last()+1, 16, 128)); err != nil {
			return confirmed, err
		}
		if confirmed, err = s.Sync(); err != nil {
			return confirmed, err
		}
	}
	return confirmed, nil
}

// intact reads a whole log and fails the test at the first gap or wrong byte.
func intact(t *testing.T, s kernel.LogStore) (last kernel.Zxid) {
	t.Helper()
	last = s.First() - 1
	err := s.Read(s.First(), func(r kernel.Record) bool {
		want := plugintest.Record(r.Zxid, 128)
		if r.Zxid != last+1 || string(r.Data) != string(want.Data) || string(r.Meta) != string(want.Meta) {
			t.Fatalf("record %v after %v, %d bytes", r.Zxid, last, len(r.Data))
		}
		last = r.Zxid
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return last
}

func TestOtherProcess(t *testing.T) {
	dir := t.TempDir()
	store, _ := spawn(t, dir)
	if err := store.Reset(kernel.MakeZxid(4, 0)); err != nil {
		t.Fatal(err)
	}
	confirmed, err := write(store, 3200)
	if err != nil || confirmed != kernel.MakeZxid(4, 3200) {
		t.Fatalf("confirmed %v, %v", confirmed, err)
	}
	if err := store.Append([]kernel.Record{plugintest.Record(kernel.MakeZxid(4, 1), 1)}); !errors.Is(err, kernel.ErrOutOfOrder) {
		t.Errorf("an append out of order: %v", err)
	}
	if last := intact(t, store); last != confirmed {
		t.Errorf("read up to %v of %v", last, confirmed)
	}
	if !store.Guarantees().Durable {
		t.Errorf("guarantees: %+v", store.Guarantees())
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestKill: the other process dies under load. The host is told by the call under way and by every one after it; what was confirmed is there afterwards.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	store, cmd := spawn(t, dir)
	if err := store.Reset(kernel.MakeZxid(1, 0)); err != nil {
		t.Fatal(err)
	}
	var confirmed kernel.Zxid
	for round := range 3 {
		early, err := write(store, 160)
		if err != nil {
			t.Fatal(err)
		}
		killed := make(chan error, 1)
		go func() {
			time.Sleep(20 * time.Millisecond) // somewhere in the writes below
			killed <- cmd.Process.Kill()
		}()
		confirmed, err = write(store, 1<<30)
		if err == nil {
			t.Fatal("writes go on although the process is dead")
		}
		if err := <-killed; err != nil {
			t.Fatal(err)
		}
		confirmed = max(confirmed, early)
		if err := store.Append(plugintest.Records(store.Last()+1, 1, 128)); err == nil {
			t.Error("a dead store takes an append")
		}
		if z, err := store.Sync(); err == nil {
			t.Errorf("a dead store confirms %v", z)
		}
		if err := store.Read(1, func(kernel.Record) bool { return true }); err == nil || errors.Is(err, io.EOF) && err == io.EOF {
			t.Error("a dead store can be read to its end")
		}
		if _, err := store.Words(); err == nil {
			t.Error("a dead store has words")
		}

		store, cmd = spawn(t, dir)
		if last := intact(t, store); last < confirmed {
			t.Fatalf("round %d: the log ends at %v, %v was confirmed", round, last, confirmed)
		}
	}
}

func BenchmarkAppendSync(b *testing.B) {
	for _, where := range []string{"process", "stream"} {
		b.Run("where="+where+"/batch=64/size=128", func(b *testing.B) {
			store, err := inProcess(b)(memory.New())
			if where == "process" {
				store, _ = spawn(b, b.TempDir())
			}
			if err != nil {
				b.Fatal(err)
			}
			if err := store.Reset(kernel.MakeZxid(1, 0)); err != nil {
				b.Fatal(err)
			}
			group := plugintest.Records(1, 64, 128)
			b.ReportAllocs()
			for b.Loop() {
				for i := range group {
					group[i].Zxid = store.Last() + 1 + kernel.Zxid(i)
				}
				if err := store.Append(group); err != nil {
					b.Fatal(err)
				}
				if _, err := store.Sync(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func FuzzRecords(f *testing.F) {
	f.Add(appendRecords(nil, plugintest.Records(1, 3, 20)))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		var records []kernel.Record
		if err := decodeRecords(b, func(r kernel.Record) bool { records = append(records, r); return true }); err != nil {
			return
		}
		var again []kernel.Record
		err := decodeRecords(appendRecords(nil, records), func(r kernel.Record) bool { again = append(again, r); return true })
		if err != nil || len(again) != len(records) {
			t.Fatalf("%d records became %d, %v", len(records), len(again), err)
		}
	})
}
