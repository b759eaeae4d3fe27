package pebble

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// With one processor, whoever can run gets it between two writes of a flush, nearly always: by itself the flush would keep it for ten milliseconds.
func TestFlushesLetOthersGoFirst(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var turns atomic.Int64 // of somebody who can always run
	fs := &counting{FS: vfs.NewMem(), turns: &turns}
	s, err := Open(Options{FS: fs, Dir: "nodes", MemTable: 16 << 20, Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	b := s.NewBatch()
	random, value := rand.NewChaCha8([32]byte{}), make([]byte, 1000) // which cannot be compressed
	for i := range 8000 {
		_, _ = random.Read(value) // never fails
		b.Set(fmt.Appendf(nil, "%08d", i), value)
	}
	if err := s.Write(b); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				turns.Add(1)
				runtime.Gosched()
			}
		}
	}()
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	close(stop)
	<-stopped
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if writes, alone := fs.writes.Load(), fs.alone.Load(); writes < 1000 || alone > writes/10 {
		t.Errorf("%d writes of the flush, %d of them without a turn of anybody else since the one before", writes, alone)
	}
}

// counting counts the writes of a store's tables, and those since whose predecessor turns has not moved.
type counting struct {
	vfs.FS
	turns               *atomic.Int64
	last, writes, alone atomic.Int64
}

func (c *counting) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := c.FS.Create(name, category)
	if err == nil && strings.HasSuffix(name, ".sst") {
		f = counted{f, c}
	}
	return f, err
}

type counted struct {
	vfs.File
	of *counting
}

func (c counted) Write(b []byte) (int, error) {
	now := c.of.turns.Load()
	if c.of.last.Swap(now) == now {
		c.of.alone.Add(1)
	}
	c.of.writes.Add(1)
	return c.File.Write(b)
}
