package pebble

import (
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zooid-project/zooid/kernel"
)

func init() {
	kernel.Register(kernel.KindNodeStore, "pebble", kernel.Factory[kernel.NodeStore]{
		Doc: "Keeps the znodes in an LSM tree on disk, so that they may exceed memory and a restart is quick.",
		Options: []kernel.Option{
			{Key: "blockCache", Type: kernel.TypeBytes, Default: "16MiB", Doc: "Memory for blocks and filters of the store's files, beside the cache of znodes."},
			{Key: "memTable", Type: kernel.TypeBytes, Default: "8MiB", Doc: "Memory for what a flush has written and the disk has not."},
			{Key: "reserve", Type: kernel.TypeBytes, Default: "64MiB", Doc: "Disk space that flushes leave free: with less, writes are refused until there is room."},
		},
		Format: 1,
		New: func(env kernel.Env, o kernel.Options) (kernel.NodeStore, error) {
			s, err := Open(Options{
				FS: env.FS, Dir: env.FS.PathJoin(env.DataDir, "nodes"), Fatal: env.Fatal,
				BlockCache: o.Bytes("blockCache"), MemTable: o.Bytes("memTable"), Reserve: o.Bytes("reserve"),
			})
			if err != nil { // a nil *Store must not become a NodeStore
				return nil, err
			}
			return s, nil
		},
	})
}

// Options say where the store is and what it may use. Zero sizes mean the defaults above.
type Options struct {
	FS         vfs.FS
	Dir        string
	BlockCache int64       // bytes
	MemTable   int64       // bytes
	Reserve    int64       // bytes of disk
	Fatal      func(error) // called once, on some goroutine, when the store cannot go on; may be nil
}

// formatVersion is pinned: a new one is a new kernel.Factory.Format, decided by people and not by an update of the library.
const formatVersion = pebble.FormatTableFormatV6

func (s *Store) options(o Options) *pebble.Options {
	p := &pebble.Options{
		FS:                          &disk{FS: o.FS, faults: &s.faults},
		DisableWAL:                  true,
		FormatMajorVersion:          formatVersion,
		CacheSize:                   o.BlockCache + o.MemTable, // Pebble takes its memory tables out of the cache's share
		MemTableSize:                uint64(o.MemTable),
		MemTableStopWritesThreshold: 1 << 10, // Write and Flush must say that the disk is full, not wait for it; one Write at a time is not flushed
		MaxOpenFiles:                500,
		BytesPerSync:                256 << 10, // small syncs while files are written: the log's are not kept waiting by a big one
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       1 << 10, // the flush must go on; the tree's own bounds slow writers
		LBaseMaxBytes:               64 << 20,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 1 },
		TargetByteDeletionRate:      128 << 20,
		Logger:                      &s.faults,
		EventListener:               s.faults.listener(),
	}
	p.Experimental.L0CompactionConcurrency = 1 << 10 // never more than the one
	for i := range p.Levels {
		p.Levels[i].BlockSize = 8 << 10
		p.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		p.Levels[i].FilterType = pebble.TableFilter
	}
	return p
}
