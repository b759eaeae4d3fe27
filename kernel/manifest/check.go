package manifest

import (
	"fmt"
	"strings"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/zooid-project/zooid/kernel"
)

// Apache's directory of logs and snapshots.
const apacheDir = "version-2"

// storeDirs are the directories that Zooid's stores make, in the data or the log directory.
var storeDirs = []string{"log", "snapshots", "nodes"}

// Check compares the manifest of dataDir with what this server is configured to be. Where neither a manifest nor data lies yet it creates the manifest with a
// random cluster id. It runs before any store is opened. The result is what the file says; want.Cluster is compared unless it is zero.
//
// Refusals: *ServerError, *ClusterError, *PluginError, *VersionError, *DamagedError, *MissingError, *ApacheError.
func Check(fs vfs.FS, dataDir, logDir string, want Manifest) (Manifest, error) {
	have, found, err := Load(fs, dataDir)
	if err != nil {
		return have, err
	}
	if !found {
		if err := refuseData(fs, dataDir, logDir); err != nil {
			return have, err
		}
		if want.Cluster == (kernel.ClusterID{}) {
			want.Cluster = newCluster()
		}
		if err := fs.MkdirAll(dataDir, 0o755); err != nil {
			return have, fmt.Errorf("create %s: %w", dataDir, err)
		}
		return want, Save(fs, dataDir, want)
	}
	if have.Server != want.Server {
		return have, &ServerError{Dir: dataDir, Have: have.Server, Want: want.Server}
	}
	if want.Cluster != (kernel.ClusterID{}) && want.Cluster != have.Cluster {
		return have, &ClusterError{Dir: dataDir, Have: have.Cluster, Want: want.Cluster}
	}
	for _, s := range []struct {
		kind       string
		have, want Store
	}{{kernel.KindLogStore.Name, have.Log, want.Log}, {kernel.KindSnapshotStore.Name, have.Snapshots, want.Snapshots}, {kernel.KindNodeStore.Name, have.Nodes, want.Nodes}} {
		if s.have.Plugin != s.want.Plugin {
			return have, &PluginError{Dir: dataDir, Kind: s.kind, Have: s.have.Plugin, Want: s.want.Plugin}
		}
		if s.have.Format != s.want.Format {
			return have, &VersionError{Dir: dataDir, What: s.kind + " store " + s.have.Plugin, Have: s.have.Format, Want: s.want.Format}
		}
	}
	return have, nil
}

// refuseData looks for data that has no manifest: it must never be read as empty, or be built over.
func refuseData(fs vfs.FS, dataDir, logDir string) error {
	dirs := []string{dataDir}
	if logDir != dataDir {
		dirs = append(dirs, logDir)
	}
	for _, dir := range dirs {
		for _, name := range append([]string{apacheDir}, storeDirs...) {
			path := fs.PathJoin(dir, name)
			files, err := fs.List(path)
			if err != nil {
				if info, statErr := fs.Stat(path); oserror.IsNotExist(statErr) || (statErr == nil && !info.IsDir()) {
					continue
				}
				return fmt.Errorf("look into %s: %w", path, err)
			}
			if len(files) == 0 {
				continue
			}
			if name == apacheDir {
				return &ApacheError{Dir: path}
			}
			return &MissingError{Dir: dataDir, Data: path}
		}
	}
	return nil
}

// CheckPositions refuses a node store that has flushed what its log no longer holds: the log was lost, or one of the two is an older copy. flushed is
// the state machine's Flushed, last the log's Last.
func CheckPositions(dataDir string, flushed, last kernel.Zxid) error {
	if flushed > last {
		return &AheadError{Dir: dataDir, Flushed: flushed, Log: last}
	}
	return nil
}

// ServerError: the directory belongs to another server.
type ServerError struct {
	Dir        string
	Have, Want kernel.ServerID
}

func (e *ServerError) Error() string {
	return fmt.Sprintf("%s holds the data of server %d, and this is server %d (myid). Two servers must never share or swap a directory: "+
		"correct myid or dataDir, or start with an empty directory and let the server copy everything from its peers", e.Dir, e.Have, e.Want)
}

// ClusterError: the directory belongs to another cluster.
type ClusterError struct {
	Dir        string
	Have, Want kernel.ClusterID
}

func (e *ClusterError) Error() string {
	return fmt.Sprintf("%s holds the data of cluster %v, not of cluster %v. Correct dataDir, or start with an empty directory", e.Dir, e.Have, e.Want)
}

// PluginError: another plugin wrote the data.
type PluginError struct {
	Dir, Kind, Have, Want string
}

func (e *PluginError) Error() string {
	return fmt.Sprintf("%s was written with plugin.%s=%s, and plugin.%s=%s is configured. Set plugin.%s=%s; or, to change the store of one server of an ensemble, "+
		"start it with an empty directory and plugin.%s=%s, and it copies everything from its peers", e.Dir, e.Kind, e.Have, e.Kind, e.Want, e.Kind, e.Have, e.Kind, e.Want)
}

// VersionError: another version wrote the data.
type VersionError struct {
	Dir, What  string
	Have, Want int
}

func (e *VersionError) Error() string {
	s := fmt.Sprintf("%s: the %s has format version %d, this build reads version %d. ", e.Dir, e.What, e.Have, e.Want)
	if e.Have > e.Want {
		return s + "Start the newer build that wrote it"
	}
	return s + "Start an older build that reads it, or start with an empty directory and let the server copy everything from its peers"
}

// DamagedError: the manifest cannot be read.
type DamagedError struct {
	File string
	Err  error
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("%s is damaged: %v. Restore it from a backup of this server, or move the data and log directories away and let the server copy everything from its peers", e.File, e.Err)
}

func (e *DamagedError) Unwrap() error { return e.Err }

// MissingError: there is data without a manifest.
type MissingError struct {
	Dir, Data string
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("%s holds data, but %s has no file %q that says whose it is. Restore it from a backup of this server, correct dataDir and dataLogDir, "+
		"or move the data away and start with an empty directory", e.Data, e.Dir, FileName)
}

// ApacheError: an Apache ZooKeeper server's data lies where ours should begin.
type ApacheError struct {
	Dir string
}

func (e *ApacheError) Error() string {
	return fmt.Sprintf("%s holds the data of an Apache ZooKeeper server, which this build does not read in place; it was not touched. "+
		"Set dataDir and dataLogDir to empty directories: a member of an ensemble copies everything from its peers, for a single server copy the tree over with a client", strings.TrimSuffix(e.Dir, "/"))
}

// AheadError: the node store is ahead of its log.
type AheadError struct {
	Dir          string
	Flushed, Log kernel.Zxid
}

func (e *AheadError) Error() string {
	return fmt.Sprintf("%s: the znode store holds everything up to zxid %v, but its log ends at %v. The log was lost or replaced by an older copy. "+
		"Restore both from one backup, or move the data and log directories away and let the server copy everything from its peers", e.Dir, e.Flushed, e.Log)
}
