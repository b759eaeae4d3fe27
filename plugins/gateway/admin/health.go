package admin

import (
	"fmt"
	"net/http"

	"github.com/zooid-project/zooid/sdk/inspect"
)

// livez says that the process works at all: a restart would not help.
func (g *Gateway) livez(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, "ok")
}

// readyz says whether clients can read and write here now, and if not, why.
func (g *Gateway) readyz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	status := g.host.Status()
	var why string
	switch {
	case status.ReadOnly:
		why = "not ready: this server is in read-only mode, it has no quorum: reads are served, writes are not"
	case !status.Serving && status.Repairing:
		why = fmt.Sprintf("not ready: this server's data was damaged or lost, and it copies everything from its peers; it is %s", inspect.ServerState(status))
	case !status.Serving:
		why = fmt.Sprintf("not ready: this server serves no clients; it is %s", inspect.ServerState(status))
	case status.Refusing != nil:
		why = fmt.Sprintf("not ready: reads are served, writes are refused: %v", status.Refusing)
	}
	if why != "" {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, why)
	} else {
		fmt.Fprintf(w, "ok: %s, applied up to %s\n", inspect.ServerState(status), status.LastApplied)
	}
	for _, warning := range status.Warnings {
		fmt.Fprintf(w, "warning: %s\n", warning)
	}
}
