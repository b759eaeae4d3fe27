package plugintest

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/zooid-project/zooid/kernel"
)

// BenchmarkLogStore measures the append and sync stages of a log store on the real disk, below b.TempDir. name becomes the column store=name.
// An operation is one group; records/s tells groups of different sizes apart. The log is purged as a server's would be.
func BenchmarkLogStore(b *testing.B, name string, open OpenLog) {
	for _, batch := range []int{1, 8, 64, 512} {
		for _, size := range []int{128, 1024} {
			for _, stage := range []string{"append", "sync"} {
				b.Run(fmt.Sprintf("stage=%s/store=%s/batch=%d/size=%d", stage, name, batch, size), func(b *testing.B) {
					benchmarkLog(b, open, stage == "sync", batch, size)
				})
			}
		}
	}
}

func benchmarkLog(b *testing.B, open OpenLog, sync bool, batch, size int) {
	dir := b.TempDir()
	s, err := open(kernel.Env{FS: vfs.Default, DataDir: dir, LogDir: dir, Server: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	group := Records(1, batch, size)
	var zxid kernel.Zxid
	const purgeEvery = 128 << 20
	written := 0
	b.SetBytes(int64(batch * size))
	b.ReportAllocs()
	for b.Loop() {
		for i := range group {
			zxid++
			group[i].Zxid = zxid
		}
		if err := s.Append(group); err != nil {
			b.Fatal(err)
		}
		if sync {
			if _, err := s.Sync(); err != nil {
				b.Fatal(err)
			}
		}
		if written += batch * size; written > purgeEvery {
			written = 0
			if err := s.Purge(zxid); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(batch)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
