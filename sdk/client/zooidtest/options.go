package zooidtest

import (
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/config"
)

// Option changes how a test server runs.
type Option func(*options)

type options struct {
	lines   []string // of zoo.cfg
	flags   []string // -D properties
	dataDir string
	onDisk  bool
	fs      vfs.FS
	hook    kernel.StageHook

	// Of a member of an ensemble; self 0: a lone server.
	self     kernel.ServerID
	ensemble kernel.Ensemble
}

// Set sets a key as in zoo.cfg: Set("tickTime", "500"), Set("extendedTypesEnabled", "true"), Set("DigestAuthenticationProvider.superDigest", "super:..."),
// Set("plugin.nodes", "memory"). Keys that ZooKeeper takes as Java properties only (jute.maxbuffer) work too. A later Set of a key wins.
func Set(key, value string) Option {
	return func(o *options) {
		if k, ok := config.LookUp(key); ok && k.Reach == config.FlagOnly && !strings.ContainsAny(value, " \t") {
			o.flags = append(o.flags, "-D"+key+"="+value)
			return
		}
		o.lines = append(o.lines, fmt.Sprintf("%s=%s", key, strings.ReplaceAll(value, `\`, `\\`)))
	}
}

// OnDisk keeps the data in a directory, "" for one that goes with the test. There Kill ends the server without draining, but flushed.
func OnDisk(dir string) Option {
	return func(o *options) { o.onDisk, o.dataDir = true, dir }
}

// OnFS keeps the data in /data of a file system of the caller's, for instance one that fails on request (sdk/plugintest.Disk).
func OnFS(fs vfs.FS) Option {
	return func(o *options) { o.fs = fs }
}

// On gives options to one member of an ensemble only.
func On(id kernel.ServerID, opts ...Option) Option {
	return func(o *options) {
		if o.self != id {
			return
		}
		for _, opt := range opts {
			opt(o)
		}
	}
}

// AdminHTTP serves administrators over HTTP as well, on a free port: see AdminURL.
func AdminHTTP() Option {
	return func(o *options) {
		o.lines = append(o.lines, "admin.enableServer=true", "admin.serverAddress=127.0.0.1", "plugin.gateway.admin.port=0")
	}
}

// Observed tells hook what the stages of the write path do (kernel.StageHook).
func Observed(hook kernel.StageHook) Option {
	return func(o *options) { o.hook = hook }
}

// InMemory keeps log and nodes in plain memory, without any file format: the fastest, and nothing is left after a stop. Restart is then a server that has
// lost everything.
func InMemory() Option {
	return func(o *options) { o.lines = append(o.lines, "plugin.log=memory", "plugin.nodes=memory") }
}
