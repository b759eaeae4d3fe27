package simulate

import (
	"fmt"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/sim"
	"github.com/zooid-project/zooid/stores/memnodes"

	_ "github.com/zooid-project/zooid/plugins/election"
	_ "github.com/zooid-project/zooid/plugins/zab"
	_ "github.com/zooid-project/zooid/plugins/znode"
	_ "github.com/zooid-project/zooid/stores/file"
	_ "github.com/zooid-project/zooid/stores/snapshot"
)

// boot makes the real parts of a server: znode machine, file log with small segments, cores with the world's tick.
func (r *run) boot(b sim.Boot) (kernel.Parts, error) {
	env := b.Env
	tick := fmt.Sprint(r.tick.Milliseconds())
	given := func(s ...string) map[string]string {
		m := map[string]string{"tickTime": tick}
		for i := 0; i < len(s); i += 2 {
			m[s[i]] = s[i+1]
		}
		return m
	}
	var parts kernel.Parts
	var err error
	if err := env.FS.MkdirAll(env.DataDir, 0o755); err != nil {
		return parts, err
	}
	if parts.Log, err = plugin(kernel.KindLogStore, "file", env, map[string]string{"segmentSize": r.segment, "prepareAhead": "false"}); err != nil {
		return parts, err
	}
	if parts.Snapshots, err = plugin(kernel.KindSnapshotStore, "file", env, nil); err != nil {
		return parts, err
	}
	if r.inMemory {
		parts.Nodes = memnodes.New()
	} else {
		parts.Nodes = b.Nodes
	}
	env.Nodes = parts.Nodes
	if parts.Machine, err = plugin(kernel.KindStateMachine, "znode", env, given("background", "false", "reconfigEnabled", fmt.Sprint(r.changing), "minSessionTimeout", fmt.Sprint(2*r.tick.Milliseconds()))); err != nil {
		return parts, err
	}
	env.Inspect = parts.Machine.Inspect
	if parts.Election, err = plugin(kernel.KindElection, "fle", env, given("reconfigEnabled", fmt.Sprint(r.changing))); err != nil {
		return parts, err
	}
	broadcast := given("tailBytes", r.tail, "reconfigEnabled", fmt.Sprint(r.changing && !r.bugs.oldQuorum))
	if r.rolls {
		broadcast["rollAfter"] = fmt.Sprint(rollAfter)
	}
	if parts.Broadcast, err = plugin(kernel.KindBroadcast, "zab", env, broadcast); err != nil {
		return parts, err
	}
	if r.plain[env.Server] {
		plain(&parts)
	}
	r.alter(env.Server, &parts)
	r.plant(env, &parts)
	return parts, nil
}

// plugin makes one plugin from the registry. Options that it does not have are left out.
func plugin[T any](kind kernel.Kind[T], name string, env kernel.Env, given map[string]string) (made T, err error) {
	f, err := kernel.Lookup(kind, name)
	if err != nil {
		return made, err
	}
	known := map[string]string{}
	for _, o := range f.Options {
		if v, ok := given[o.Key]; ok {
			known[o.Key] = v
		}
	}
	options, err := kernel.NewOptions(kind.Name, name, f.Options, known, nil)
	if err != nil {
		return made, err
	}
	return f.New(env, options)
}
