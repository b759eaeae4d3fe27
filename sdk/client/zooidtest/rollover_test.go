package zooidtest_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/client/zooidtest"
	"github.com/zooid-project/zooid/sdk/wire"
)

// pipeline writes a node of its own through one server until ctx ends, eight writes at a time, and checks that they are done in the order in which they were sent.
func pipeline(ctx context.Context, t *testing.T, s *zooidtest.Server, path string) func() {
	t.Helper()
	c := dial(t, s, client.Options{})
	if _, err := c.Create(within(t), path, nil, client.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		slots := make(chan struct{}, 8)
		for sent := int32(1); ctx.Err() == nil; sent++ {
			slots <- struct{}{}
			c.Go(&wire.Request{Op: client.SetOp(path, []byte("x"), client.AnyVersion)}, func(r client.Reply) {
				if r.Err != nil {
					t.Errorf("%s: write %d: %v", path, sent, r.Err)
				} else if r.Response.Stat.Version != sent {
					t.Errorf("%s: write %d was done as number %d", path, sent, r.Response.Stat.Version)
				}
				<-slots
			})
		}
		for range cap(slots) {
			slots <- struct{}{}
		}
	})
	return running.Wait
}

// Again and again an epoch's counter reaches its end under load. Each time a new epoch begins, and all that clients notice is a pause: no connection is lost, nothing is refused, every write is done
// once and in order, ephemeral nodes stay.
func TestEpochsRollOverUnderLoad(t *testing.T) {
	const after, epochs = 400, 6
	e := zooidtest.StartEnsemble(t, 3, 1, append([]zooidtest.Option{zooidtest.Set("plugin.broadcast.rollAfter", fmt.Sprint(after))}, quick...)...)
	epoch := func() (epoch kernel.Epoch) {
		for _, s := range e.Servers {
			epoch = max(epoch, s.Host().Status().Epoch)
		}
		return epoch
	}
	begun := epoch()
	w := write(t, e.Servers, 2, 4)
	ctx, cancel := context.WithCancel(t.Context())
	var wait []func()
	for i, s := range e.Servers {
		wait = append(wait, pipeline(ctx, t, s, fmt.Sprintf("/pipeline-%d", i)))
	}
	eventually(t, "epochs have passed", func() bool { return epoch() >= begun+epochs || t.Failed() })
	cancel()
	for _, ended := range wait {
		ended()
	}
	longest := w.end()
	t.Logf("%d epochs; the longest write took %v", epoch()-begun, longest)
}

// An epoch must be of some use, and its counter has 32 bits.
func TestRollAfterHasBounds(t *testing.T) {
	for value, good := range map[string]bool{"99": false, "100": true, "4026531840": true, "4026531841": false, "-1": false} {
		if _, err := zooidtest.TryStart(t, zooidtest.Set("plugin.broadcast.rollAfter", value)); (err == nil) != good {
			t.Errorf("%s: %v", value, err)
		}
	}
}
