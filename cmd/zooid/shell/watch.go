package shell

import (
	"context"
	"fmt"
	"strings"

	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/wire"
)

var watchCommands = []command{
	{name: "addWatch", usage: "[-m PERSISTENT|PERSISTENT_RECURSIVE] path", doc: "watch a node, or a subtree, from now on", values: "m", min: 1, max: 1, run: runAddWatch},
	{name: "removewatches", usage: "path [-c|-d|-p|-r|-a] [-l]", doc: "end watches of this session", flags: "c d p r a l", min: 1, max: 1, run: runRemoveWatches},
	{name: "printwatches", usage: "[on|off]", doc: "print events of watches, or not", max: 1, offline: true, run: runPrintWatches},
}

// armed is a watch that has not ended.
type armed struct {
	watch Watch
	path  string
	kind  wire.WatcherType
}

// follow prints the events of a watch until it ends.
func (sh *Shell) follow(w Watch, path string, kind wire.WatcherType) {
	a := &armed{w, path, kind}
	sh.mu.Lock()
	sh.watches = append(sh.watches, a)
	sh.mu.Unlock()
	sh.watchers.Go(func() {
		for {
			e, err := w.Next(sh.watching)
			if err != nil {
				sh.forget(a)
				return
			}
			if sh.wantsEvents() {
				sh.printWatchEvent(e)
			}
		}
	})
}

func (sh *Shell) printWatchEvent(e client.Event) {
	if e.Gap {
		sh.notice("events may be missing here: the connection was lost for a while")
		return
	}
	sh.printEvent("SyncConnected", e, e.Type.String(), e.Path)
}

func (sh *Shell) wantsEvents() bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.printWatches
}

// forget takes a watch off the list. It reports whether it was there.
func (sh *Shell) forget(a *armed) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for i := range sh.watches {
		if sh.watches[i] == a {
			sh.watches = append(sh.watches[:i:i], sh.watches[i+1:]...)
			return true
		}
	}
	return false
}

func runAddWatch(ctx context.Context, sh *Shell, a *arguments) error {
	path := a.arg(0)
	if err := checkPath(path); err != nil {
		return err
	}
	mode, kind := wire.AddWatchPersistentRecursive, wire.WatcherPersistentRecursive
	switch strings.ToUpper(a.value("m")) {
	case "", "PERSISTENT_RECURSIVE":
	case "PERSISTENT":
		mode, kind = wire.AddWatchPersistent, wire.WatcherPersistent
	default:
		return &usageError{fmt.Sprintf("-m %s: PERSISTENT or PERSISTENT_RECURSIVE", a.value("m"))}
	}
	w, err := sh.client.Watch(ctx, path, mode)
	if err != nil {
		return at(path, err)
	}
	sh.follow(w, path, kind)
	return nil
}

// removedEvents are what is printed for a watch that was removed.
var removedEvents = map[wire.WatcherType]wire.EventType{
	wire.WatcherChildren:            wire.EventChildWatchRemoved,
	wire.WatcherData:                wire.EventDataWatchRemoved,
	wire.WatcherPersistent:          wire.EventPersistentWatchRemoved,
	wire.WatcherPersistentRecursive: wire.EventPersistentWatchRemoved,
}

func runRemoveWatches(ctx context.Context, sh *Shell, a *arguments) error {
	path := a.arg(0)
	if err := checkPath(path); err != nil {
		return err
	}
	kind := wire.WatcherAny
	for flag, k := range map[string]wire.WatcherType{"c": wire.WatcherChildren, "d": wire.WatcherData, "p": wire.WatcherPersistent, "r": wire.WatcherPersistentRecursive} {
		if a.has(flag) {
			kind = k
		}
	}
	sh.mu.Lock()
	var found []*armed
	for _, w := range sh.watches {
		if w.path == path && (kind == wire.WatcherAny || w.kind == kind) {
			found = append(found, w)
		}
	}
	sh.mu.Unlock()
	if len(found) == 0 {
		return at(path, wire.ErrNoWatcher)
	}
	for _, w := range found {
		if !sh.forget(w) {
			continue
		}
		if err := w.watch.Close(ctx); err != nil && !a.has("l") {
			return at(path, err)
		}
		if sh.wantsEvents() {
			sh.printEvent("SyncConnected", client.Event{Zxid: -1}, removedEvents[w.kind].String(), path)
		}
	}
	return nil
}

func runPrintWatches(_ context.Context, sh *Shell, a *arguments) error {
	switch a.arg(0) {
	case "":
		state := "off"
		if sh.wantsEvents() {
			state = "on"
		}
		sh.print("printwatches is %s", state)
	case "on", "off":
		sh.mu.Lock()
		sh.printWatches = a.arg(0) == "on"
		sh.mu.Unlock()
	default:
		return &usageError{"on or off"}
	}
	return nil
}
