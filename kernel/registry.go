package kernel

import (
	"fmt"
	"log/slog"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Kind is one kind of plugin; T is the interface it gives.
type Kind[T any] struct {
	Name      string // the KIND of plugin.KIND=NAME
	InProcess bool   // never out of process: exec: is refused
}

// The kinds of plugins.
var (
	KindTransport     = Kind[Transport]{Name: "transport", InProcess: true}
	KindLogStore      = Kind[LogStore]{Name: "log"}
	KindSnapshotStore = Kind[SnapshotStore]{Name: "snapshot"}
	KindNodeStore     = Kind[NodeStore]{Name: "nodes"}
	KindElection      = Kind[Election]{Name: "election", InProcess: true}
	KindBroadcast     = Kind[Broadcast]{Name: "broadcast", InProcess: true}
	KindStateMachine  = Kind[StateMachine]{Name: "machine", InProcess: true}
	KindGateway       = Kind[Gateway]{Name: "gateway", InProcess: true}
	KindAuthenticator = Kind[Authenticator]{Name: "auth"}
	KindRecipe        = Kind[Recipe]{Name: "recipe"}
)

// Env is what every factory gets: where it may write, how it logs, and the pieces it stands on.
type Env struct {
	FS      vfs.FS // all files go through it
	DataDir string // znode state, snapshots, manifest
	LogDir  string // the log
	Server  ServerID
	Logger  *slog.Logger
	Nodes   NodeStore                // for state machines
	Auth    map[string]Authenticator // for state machines and gateways
	Sink    TransportSink            // for transports
	// Inspect is the state machine's: what a broadcast must know of the transactions that it carries.
	Inspect func(data []byte) (TxnInfo, error)
	// Now is the clock, with its monotonic part where it has one; nil: time.Now. Wall is the clock that people set: it may jump, and only stamps are taken from it; nil: Now. The simulator has its own.
	Now  func() time.Time
	Wall func() time.Time
	// Refuse makes the node refuse writes for a reason that passes (no space for the state), nil takes them again. It may be called from any goroutine.
	Refuse func(reason error)
	// Fatal ends the node: a plugin that finds that it cannot go on (damage, a failed sync) calls it once with the reason and stops working.
	Fatal func(error)
}

// Factory makes one plugin. New must leave nothing behind when it fails.
type Factory[T any] struct {
	Doc     string // one line for help texts
	Options []Option
	// Format is the version of what the plugin writes to disk; the manifest records it. Zero: it writes nothing.
	Format int
	New    func(env Env, options Options) (T, error)
}

// OptionType says how an option's text is read.
type OptionType uint8

// The option types.
const (
	TypeString OptionType = iota
	TypeInt
	TypeBool
	TypeBytes    // an integer with an optional suffix KiB, MiB, GiB
	TypeDuration // Go's notation; a bare number is milliseconds
)

var optionTypeNames = [...]string{"string", "integer", "true or false", "bytes (KiB, MiB, GiB)", "duration (ms without a unit)"}

func (t OptionType) String() string { return optionTypeNames[t] }

// Option is one setting of a plugin: plugin.KIND.Key=value in the configuration.
type Option struct {
	Key     string
	Type    OptionType
	Default string
	Doc     string
	// Config is the zoo.cfg key (or Java property) that gives the value when plugin.KIND.Key does not. Empty: none.
	Config string
	Secret bool // masked wherever values are printed
	// Allowed lists the values that are accepted; empty: any of the type.
	Allowed []string
}

// Options are a plugin's checked settings: every declared key has a value that parses.
type Options struct {
	values map[string]string
	types  map[string]OptionType
}

func (o Options) must(key string, t OptionType) string {
	v, ok := o.values[key]
	if !ok || o.types[key] != t {
		panic("kernel: option " + key + " was not declared as " + t.String())
	}
	return v
}

// String returns a string option. Asking for an undeclared key is a programming error and panics, as in the other getters.
func (o Options) String(key string) string { return o.must(key, TypeString) }

// Int returns an integer option.
func (o Options) Int(key string) int64 {
	v, _ := strconv.ParseInt(o.must(key, TypeInt), 10, 64)
	return v
}

// Bool returns a boolean option.
func (o Options) Bool(key string) bool { return strings.EqualFold(o.must(key, TypeBool), "true") }

// Bytes returns a size in bytes.
func (o Options) Bytes(key string) int64 {
	v, _ := parseBytes(o.must(key, TypeBytes))
	return v
}

// Duration returns a duration.
func (o Options) Duration(key string) time.Duration {
	v, _ := parseDuration(o.must(key, TypeDuration))
	return v
}

func parseBytes(s string) (int64, error) {
	unit := int64(1)
	for suffix, n := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if rest, ok := strings.CutSuffix(s, suffix); ok {
			s, unit = strings.TrimSpace(rest), n
			break
		}
	}
	v, err := strconv.ParseInt(s, 10, 64)
	if err == nil && unit > 1 && (v > (1<<62)/unit || v < -(1<<62)/unit) {
		return 0, fmt.Errorf("%s is too large", s)
	}
	return v * unit, err
}

func parseDuration(s string) (time.Duration, error) {
	if v, err := strconv.ParseInt(s, 10, 64); err == nil {
		return time.Duration(v) * time.Millisecond, nil
	}
	return time.ParseDuration(s)
}

// Check reports whether value is allowed for the option.
func (o Option) Check(value string) error {
	var err error
	switch o.Type {
	case TypeInt:
		_, err = strconv.ParseInt(value, 10, 64)
	case TypeBool:
		if !strings.EqualFold(value, "true") && !strings.EqualFold(value, "false") {
			err = fmt.Errorf("want true or false")
		}
	case TypeBytes:
		_, err = parseBytes(value)
	case TypeDuration:
		_, err = parseDuration(value)
	}
	if err != nil {
		return fmt.Errorf("%q is not allowed: want %s", value, o.Type)
	}
	if len(o.Allowed) > 0 {
		for _, a := range o.Allowed {
			if a == value {
				return nil
			}
		}
		return fmt.Errorf("%q is not allowed: want one of %s", value, strings.Join(o.Allowed, ", "))
	}
	return nil
}

type registration struct {
	kind, name, doc string
	format          int
	options         []Option
	factory         any
}

var registry struct {
	sync.Mutex
	kinds map[string]map[string]registration
}

// Register makes a plugin known by kind and name. It is called from an init of the plugin's package; an empty or repeated name panics.
func Register[T any](kind Kind[T], name string, f Factory[T]) {
	registry.Lock()
	defer registry.Unlock()
	if name == "" || f.New == nil {
		panic("kernel: a plugin of kind " + kind.Name + " was registered without a name or a factory")
	}
	if registry.kinds == nil {
		registry.kinds = map[string]map[string]registration{}
	}
	names := registry.kinds[kind.Name]
	if names == nil {
		names = map[string]registration{}
		registry.kinds[kind.Name] = names
	}
	if _, twice := names[name]; twice {
		panic("kernel: " + kind.Name + " plugin " + name + " is registered twice")
	}
	names[name] = registration{kind: kind.Name, name: name, doc: f.Doc, format: f.Format, options: f.Options, factory: f}
}

// PluginInfo describes a registered plugin for help texts.
type PluginInfo struct {
	Kind, Name, Doc string
	Format          int
	Options         []Option
}

// Plugins lists what is registered, sorted by kind and name.
func Plugins() []PluginInfo {
	registry.Lock()
	defer registry.Unlock()
	var all []PluginInfo
	for _, names := range registry.kinds {
		for _, r := range names {
			all = append(all, PluginInfo{Kind: r.kind, Name: r.name, Doc: r.doc, Format: r.format, Options: r.options})
		}
	}
	sort.Slice(all, func(i, j int) bool {
		if all[i].Kind != all[j].Kind {
			return all[i].Kind < all[j].Kind
		}
		return all[i].Name < all[j].Name
	})
	return all
}

// UnknownError reports a plugin or option that does not exist, with what does.
type UnknownError struct {
	What    string // for instance "log store plugin" or "option of log plugin file"
	Name    string
	Known   []string
	Nearest string // empty when nothing is near
}

func (e *UnknownError) Error() string {
	s := fmt.Sprintf("%s: no such %s. This build has: %s.", e.Name, e.What, strings.Join(e.Known, ", "))
	if len(e.Known) == 0 {
		s = fmt.Sprintf("%s: no such %s. This build has none.", e.Name, e.What)
	}
	if e.Nearest != "" {
		s += " Did you mean " + e.Nearest + "?"
	}
	return s
}

// OptionError reports a value that is not allowed.
type OptionError struct {
	Kind, Plugin, Key string
	Err               error
}

func (e *OptionError) Error() string {
	return fmt.Sprintf("plugin.%s.%s (plugin %s): %v", e.Kind, e.Key, e.Plugin, e.Err)
}
func (e *OptionError) Unwrap() error { return e.Err }

// Lookup finds a factory by name.
func Lookup[T any](kind Kind[T], name string) (Factory[T], error) {
	registry.Lock()
	defer registry.Unlock()
	names := registry.kinds[kind.Name]
	if strings.HasPrefix(name, "exec:") && kind.InProcess {
		return Factory[T]{}, fmt.Errorf("%s: plugins of kind %s run inside the server's process; choose a built-in one", name, kind.Name)
	}
	r, ok := names[name]
	if !ok {
		known := make([]string, 0, len(names))
		for n := range names {
			known = append(known, n)
		}
		sort.Strings(known)
		return Factory[T]{}, &UnknownError{What: kind.Name + " plugin", Name: name, Known: known, Nearest: Nearest(name, known)}
	}
	return r.factory.(Factory[T]), nil
}

// NewOptions checks given values against the declared options. given holds plugin.KIND.* keys without their prefix; config looks up zoo.cfg keys.
func NewOptions(kind, plugin string, declared []Option, given map[string]string, config func(key string) (string, bool)) (Options, error) {
	o := Options{values: map[string]string{}, types: map[string]OptionType{}}
	known := make([]string, 0, len(declared))
	for _, d := range declared {
		known = append(known, d.Key)
		o.types[d.Key] = d.Type
		v, ok := given[d.Key]
		if !ok && d.Config != "" && config != nil {
			v, ok = config(d.Config)
		}
		if !ok {
			v = d.Default
		} else if err := d.Check(v); err != nil {
			return o, &OptionError{Kind: kind, Plugin: plugin, Key: d.Key, Err: err}
		}
		o.values[d.Key] = v
	}
	sort.Strings(known)
	for key := range given {
		if _, ok := o.types[key]; !ok {
			return o, &UnknownError{What: "option of " + kind + " plugin " + plugin, Name: key, Known: known, Nearest: Nearest(key, known)}
		}
	}
	return o, nil
}
