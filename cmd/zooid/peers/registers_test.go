package peers

import (
	"errors"
	"fmt"

	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/wire"
)

func (w *workload) register(phase int64, i int) string {
	return fmt.Sprintf("%s/%d-%d", registerRoot, phase, i)
}

// ensure makes a node, whatever it takes.
func (w *workload) ensure(path string) {
	w.e.t.Helper()
	for ctx := within(w.e.t); ; {
		_, err := w.clients[0].Create(ctx, path, []byte{}, client.CreateOptions{})
		if err == nil || errors.Is(err, wire.ErrNodeExists) {
			return
		}
		if ctx.Err() != nil {
			w.e.t.Fatalf("create %s: %v", path, err)
		}
	}
}

// prepare makes the registers of a phase.
func (w *workload) prepare(phase int64) {
	w.e.t.Helper()
	for i := range chaosRegisters {
		path := w.register(phase, i)
		w.ensure(path)
		w.ensure(path + twin)
		stat := w.stat(path + twin)
		w.mu.Lock()
		w.since[path] = stat.Czxid
		w.mu.Unlock()
	}
}

// stat reads a node that is there, whatever it takes.
func (w *workload) stat(path string) wire.Stat {
	w.e.t.Helper()
	for ctx := within(w.e.t); ; {
		found, stat, err := w.clients[0].Exists(ctx, path)
		if err == nil && found {
			return stat
		}
		if err == nil || ctx.Err() != nil {
			w.e.t.Fatalf("exists %s: %v, %v", path, found, err)
		}
	}
}

// missing checks an answer that has no such register. Without a sync a server may answer that lags; its zxid says so.
func (w *workload) missing(path string, zxid int64, synced bool) {
	w.mu.Lock()
	since := w.since[path]
	w.mu.Unlock()
	if synced || zxid >= since {
		w.e.t.Errorf("%s is gone: there since 0x%x, and not at 0x%x (behind a sync: %v)", path, since, zxid, synced)
	}
}

func (w *workload) nextPhase() {
	w.e.t.Helper()
	w.prepare(w.phase.Load() + 1)
	w.phase.Add(1)
}
