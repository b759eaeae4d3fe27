package peers

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/wire"
)

// visitors are sessions that come, make ephemeral nodes, and go: most close, some are left alone and expire. A session takes all its nodes with it, when it closes or expires and not before.
type visitors struct {
	e               *ensemble
	watcher         *client.Client
	cancel          context.CancelFunc
	done            chan struct{}
	left            []leftAlone
	closed, expired int // known at the end
}

// leftAlone is a session without a client.
type leftAlone struct {
	path    string
	ends    time.Time // not before
	certain bool      // the node was there when it was left
}

const visitorRoot = "/visitors"

func (e *ensemble) startVisitors() *visitors {
	e.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	v := &visitors{e: e, watcher: e.connect(), cancel: cancel, done: make(chan struct{})}
	e.t.Cleanup(cancel)
	if _, err := v.watcher.Create(within(e.t), visitorRoot, nil, client.CreateOptions{}); err != nil {
		e.t.Fatal(err)
	}
	go func() {
		defer close(v.done)
		r := rand.New(rand.NewPCG(3, 3))
		for n := 0; ctx.Err() == nil; n++ {
			v.visit(ctx, fmt.Sprintf("%s/%d", visitorRoot, n), n%4 == 0)
			if len(v.left) > 0 {
				v.look(ctx, v.left[r.IntN(len(v.left))])
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	return v
}

// there reads behind a sync.
func (v *visitors) there(ctx context.Context, path string) (bool, error) {
	if err := v.watcher.Sync(ctx, path); err != nil {
		return false, err
	}
	found, _, err := v.watcher.Exists(ctx, path)
	return found, err
}

// visit is one session. What it does not come to the end of is left alone.
func (v *visitors) visit(ctx context.Context, path string, leave bool) {
	h := &held{line: &line{}}
	var err error
	if h.client, err = client.New(v.e.connectString(), client.Options{SessionTimeout: 12 * time.Second, StayLost: true, Dial: h.line.dial}); err != nil {
		v.e.t.Error(err)
		return
	}
	limited, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	began := time.Now()
	_, err = h.client.Create(limited, path, nil, client.CreateOptions{Mode: wire.Ephemeral})
	if err != nil || leave {
		h.leave()
		v.left = append(v.left, leftAlone{path: path, ends: began.Add(12 * time.Second), certain: err == nil})
		return
	}
	if err := h.client.Close(limited); err != nil {
		h.leave()
		v.left = append(v.left, leftAlone{path: path})
		return
	}
	switch found, err := v.there(ctx, path); {
	case err != nil: // nobody to ask at the moment
	case found:
		v.e.t.Errorf("%s is there, and its session has closed", path)
	default:
		v.closed++
	}
}

// look: a session that was left alone lives as long as it was promised.
func (v *visitors) look(ctx context.Context, l leftAlone) {
	found, err := v.there(ctx, l.path)
	if err == nil && !found && l.certain && time.Now().Before(l.ends) {
		v.e.t.Errorf("%s is gone %v before its session may expire", l.path, time.Until(l.ends).Round(time.Millisecond))
	}
}

// end stops the visits and waits until everybody who was left alone has expired: within a time-out and two ticks of the last change of leaders, and what the machine needs.
func (v *visitors) end() {
	t := v.e.t
	t.Helper()
	v.cancel()
	<-v.done
	began := time.Now()
	const slack = 5 * time.Second
	eventually(t, "sessions that were left alone expire", func() bool {
		found, _, err := v.watcher.Children(within(t), visitorRoot)
		return err == nil && len(found) == 0
	})
	if took := time.Since(began); took > 12*time.Second+2*500*time.Millisecond+slack {
		t.Errorf("%v after the last fault the last session expires whose time-out is 12 s", took)
	}
	for _, l := range v.left {
		if l.certain {
			v.expired++
		}
	}
	if err := v.watcher.Close(within(t)); err != nil {
		t.Error(err)
	}
}
