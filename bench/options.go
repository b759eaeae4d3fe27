package bench

import (
	"fmt"
	"net"
	"strings"
	"time"
)

// Operations are the workloads.
var Operations = []string{"set", "create", "get", "mixed", "connect"}

// Options say what to run.
type Options struct {
	Servers     []string // host:port; connections are spread over them
	Op          string   // one of Operations
	Connections int
	InFlight    int // requests under way per connection; connect has one
	Size        int // bytes of data per node
	Keys        int // nodes that set, get and mixed work on
	ReadPercent int // share of gets in mixed
	Duration    time.Duration
	Ops         int64 // stop after this many operations instead of after Duration; 0 is off
	Warmup      time.Duration
	Root        string        // node under which the run makes its own
	Keep        bool          // leave the nodes there
	Timeout     time.Duration // session time-out asked for, and the longest wait for any reply
}

// Defaults are the options of a short run against a server on this machine.
func Defaults() Options {
	return Options{Servers: []string{"127.0.0.1:2181"}, Op: "set", Connections: 64, InFlight: 16, Size: 128, Keys: 1000, ReadPercent: 80,
		Duration: 10 * time.Second, Warmup: time.Second, Root: "/", Timeout: 30 * time.Second}
}

// ParseServers splits a connect string: hosts with commas between, 2181 where no port is given, then optionally the path of a node, which becomes the root.
func ParseServers(text string) (servers []string, root string, err error) {
	hosts, path, found := strings.Cut(text, "/")
	root = "/"
	if found && path != "" {
		root = "/" + strings.TrimSuffix(path, "/")
	}
	for _, host := range strings.Split(hosts, ",") {
		host = strings.TrimSpace(host)
		if host == "" {
			return nil, "", fmt.Errorf("%q: no host", text)
		}
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(strings.Trim(host, "[]"), "2181")
		}
		servers = append(servers, host)
	}
	return servers, root, nil
}

// Validate says what is wrong with the options, for people.
func (o *Options) Validate() error {
	known := false
	for _, op := range Operations {
		known = known || op == o.Op
	}
	switch {
	case !known:
		return fmt.Errorf("no workload %q; there are %s", o.Op, strings.Join(Operations, ", "))
	case len(o.Servers) == 0:
		return fmt.Errorf("no server")
	case o.Connections < 1:
		return fmt.Errorf("%d connections: at least 1", o.Connections)
	case o.InFlight < 1 || o.InFlight > 1<<20:
		return fmt.Errorf("%d requests in flight: 1 to %d", o.InFlight, 1<<20)
	case o.Size < 0 || o.Size > 1<<30:
		return fmt.Errorf("size %d: 0 to %d bytes", o.Size, 1<<30)
	case o.Keys < 1 || o.Keys > maxSequence:
		return fmt.Errorf("%d keys: 1 to %d", o.Keys, maxSequence)
	case o.ReadPercent < 0 || o.ReadPercent > 100:
		return fmt.Errorf("%d percent reads: 0 to 100", o.ReadPercent)
	case o.Ops < 0 || o.Ops == 0 && o.Duration <= 0:
		return fmt.Errorf("neither a duration nor a number of operations")
	case o.Timeout < time.Second:
		return fmt.Errorf("time-out %v: at least 1s", o.Timeout)
	case !strings.HasPrefix(o.Root, "/"):
		return fmt.Errorf("root %q is no path", o.Root)
	}
	return nil
}
