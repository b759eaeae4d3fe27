package server

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/manifest"
)

// Survivor is the data of a stopped server, open, from which a new ensemble is to be made because the old one has lost its majority for good. It is for one goroutine and must be closed.
//
// Opening it does to the data what a start would do, and no more: a torn tail is cut.
type Survivor struct {
	d        *stores
	settings Settings
}

// OpenSurvivor opens what lies in the directories of these settings. A server that runs has them locked; one that is damaged, being repaired, or has nothing is refused. salvage, unless it is nil, is called
// before the data is opened, and may shorten a damaged log: where what is left of that ends before the tree does, the log goes on behind the tree, empty.
func OpenSurvivor(s Settings, fs vfs.FS, salvage func(logDir string) error) (*Survivor, error) {
	if s.LogDir == "" {
		s.LogDir = s.DataDir
	}
	repair, err := fs.Open(fs.PathJoin(s.DataDir, manifest.RepairFile))
	if err == nil {
		_ = repair.Close()
		return nil, fmt.Errorf("%s is being repaired: what lies there is not whole. Choose another survivor; what was found damaged here lies in set-aside-* beside it", s.DataDir)
	}
	if _, found, err := manifest.Load(fs, s.DataDir); err != nil || !found {
		return nil, errors.Join(err, fmt.Errorf("%s is not the data directory of a server of Zooid that has run", s.DataDir))
	}
	logger := slog.New(slog.DiscardHandler)
	early := make(chan error, 1)
	env := kernel.Env{FS: fs, DataDir: s.DataDir, LogDir: s.LogDir, Server: s.Self, Logger: logger, Refuse: func(error) {}, Fatal: func(err error) {
		select {
		case early <- err:
		default:
		}
	}}
	d := &stores{fs: fs, dataDir: s.DataDir, logDir: s.LogDir, self: s.Self, logger: logger, salvaged: salvage != nil}
	if salvage != nil {
		if err := salvage(s.LogDir); err != nil {
			return nil, err
		}
	}
	if err := d.open(s, env, early); err != nil {
		return nil, err
	}
	return &Survivor{d: d, settings: s}, nil
}

// Last is the end of the log, Flushed the end of what the node store holds without it.
func (s *Survivor) Last() kernel.Zxid { return s.d.Log.Last() }

// Flushed is the end of what the node store holds by itself.
func (s *Survivor) Flushed() kernel.Zxid { return s.d.Machine.Flushed() }

// Words are the protocol's durable words; nil if there are none.
func (s *Survivor) Words() ([]byte, error) { return s.d.Log.Words() }

// Found makes it the first server of a new ensemble: with these words, which name the cluster. The words are replaced first, as a whole: a crash before leaves the old server, one after it a server of
// the new ensemble, and doing it again is safe in both cases.
func (s *Survivor) Found(words []byte, cluster kernel.ClusterID) error {
	if err := s.d.Log.SaveWords(words); err != nil {
		return err
	}
	copied, _, err := manifest.OpenWords(s.d.fs, s.d.dataDir, s.d.self)
	if err != nil {
		return err
	}
	if err := errors.Join(copied.Save(words), copied.Close()); err != nil {
		return err
	}
	m := s.d.directory
	m.Cluster = cluster
	return manifest.Save(s.d.fs, s.d.dataDir, m)
}

// Close closes the data.
func (s *Survivor) Close() error { return s.d.close() }
