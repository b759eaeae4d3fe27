package bench

import (
	"context"
	"time"

	"github.com/zooid-project/zooid/sdk/wire"
)

// cleanUp deletes what the run made, as far as the server lets it: a run that cannot clean up has still measured. It takes a connection of its own and no longer than two minutes.
func (r *run) cleanUp() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c, err := dial(ctx, r.server(0), r.o.Timeout, make([]byte, readBuffer))
	if err != nil {
		return
	}
	defer c.close()
	stop := context.AfterFunc(ctx, c.close)
	defer stop()
	zero := func() time.Duration { return 0 }
	if r.o.Op != "create" {
		w := workload{write: deleteFrame(r.base), end: r.o.Keys}
		c.load(&w, prepareWindow, &discard{}, zero)
	} else {
		for i := range r.created {
			parent := connectionBase(r.base, i)
			w := workload{write: deleteFrame(parent), end: int(r.created[i].Load())}
			if _, err := c.load(&w, prepareWindow, &discard{}, zero); err != nil {
				return
			}
			c.call(wire.Op{Code: wire.OpDelete, Path: parent, Version: -1})
		}
	}
	c.call(wire.Op{Code: wire.OpDelete, Path: r.base, Version: -1})
	c.endSession()
}
