package bench

import (
	"context"
	"time"
)

// loadSessions opens and closes one session after the other. An operation is both together, each on a TCP connection of its own.
func (r *run) loadSessions(ctx context.Context, i int) {
	m := &window{r: r, shard: r.shards[i%len(r.shards)], ctx: ctx}
	sent, in := make([]time.Duration, 1), make([]byte, 1<<10)
	for try := 0; ; try++ {
		sent[0] = r.now()
		if !m.sending(sent[0]) {
			return
		}
		c, err := dial(ctx, r.server(i+try), r.o.Timeout, in)
		if err == nil {
			err = c.endSession()
			c.close()
		}
		if err != nil {
			if ctx.Err() == nil {
				r.fail(m.shard, 1, err)
				r.pause(ctx)
			}
			continue
		}
		m.replies(r.now(), sent, 0)
	}
}
