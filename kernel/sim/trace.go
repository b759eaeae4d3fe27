package sim

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// traceHandler puts a server's log lines into the world's trace.
type traceHandler struct {
	server *Server
	on     *disk // of the start that it belongs to: a process that has ended says nothing
}

func (h *traceHandler) Enabled(context.Context, slog.Level) bool {
	return h.server.world.opt.Trace != nil && !h.on.off
}
func (h *traceHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h *traceHandler) WithGroup(string) slog.Handler      { return h }

func (h *traceHandler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		return true
	})
	h.server.world.Logf("server %d: %s%s", h.server.id, r.Message, b.String())
	return nil
}
