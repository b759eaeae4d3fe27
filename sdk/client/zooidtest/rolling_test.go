package zooidtest_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/client/zooidtest"
	"github.com/zooid-project/zooid/sdk/wire"
)

// traveller writes one node after the other through whichever server takes it, and keeps an ephemeral node.
type traveller struct {
	*client.Client
	path     string
	session  int64
	answered int
	unknown  int // writes whose connection ended before they were answered
	last     int32
	longest  time.Duration
	err      error
}

func (c *traveller) run(stop <-chan struct{}) {
	for c.err == nil {
		select {
		case <-stop:
			return
		default:
		}
		start := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		stat, err := c.Set(ctx, c.path, []byte("x"), client.AnyVersion)
		cancel()
		c.longest = max(c.longest, time.Since(start))
		switch {
		case errors.Is(err, wire.ErrConnectionLoss):
			c.unknown++
		case err != nil:
			c.err = err
		case stat.Version <= c.last:
			c.err = fmt.Errorf("version %d after %d: an answered write was lost", stat.Version, c.last)
		default:
			c.answered++
			c.last = stat.Version
		}
	}
}

// All servers of a loaded ensemble are restarted, the leader among them: no session ends, and every answered write is there once.
func TestRollingRestart(t *testing.T) {
	e := zooidtest.StartEnsemble(t, 3, 0, quick...)
	var travellers []*traveller
	for i := range 12 {
		c, err := client.Dial(within(t), e.ConnectString(), client.Options{SessionTimeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close(done()) })
		tr := &traveller{Client: c, path: fmt.Sprintf("/traveller-%d", i)}
		if _, err := c.Create(within(t), tr.path, nil, client.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Create(within(t), tr.path+"-lives", nil, client.CreateOptions{Mode: wire.Ephemeral}); err != nil {
			t.Fatal(err)
		}
		tr.session = c.SessionID()
		travellers = append(travellers, tr)
	}
	stop := make(chan struct{})
	var running sync.WaitGroup
	for _, tr := range travellers {
		running.Go(func() { tr.run(stop) })
	}
	elections := 0
	for _, s := range e.Servers {
		epoch := s.Host().Status().Epoch
		led := s.Host().Status().Role == kernel.Leading
		start := time.Now()
		s.Restart()
		e.Wait()
		t.Logf("server %s (leader %v) restarted in %v", s.Addr(), led, time.Since(start).Round(time.Millisecond))
		elections += int(s.Host().Status().Epoch - epoch)
	}
	close(stop)
	running.Wait()
	var longest time.Duration
	answered, unknown := 0, 0
	for _, tr := range travellers {
		if tr.err != nil {
			t.Errorf("%s: %v", tr.path, tr.err)
			continue
		}
		_, stat, err := tr.Get(within(t), tr.path)
		if err != nil || int(stat.Version) < tr.answered || int(stat.Version) > tr.answered+tr.unknown {
			t.Errorf("%s: %d writes done, %d answered, %d unknown; %v", tr.path, stat.Version, tr.answered, tr.unknown, err)
		}
		if lives, stat, err := tr.Exists(within(t), tr.path+"-lives"); err != nil || !lives || stat.EphemeralOwner != tr.session || tr.SessionID() != tr.session {
			t.Errorf("%s: session 0x%x became 0x%x: %+v, %v", tr.path, tr.session, tr.SessionID(), stat, err)
		}
		longest, answered, unknown = max(longest, tr.longest), answered+tr.answered, unknown+tr.unknown
	}
	if answered < 2*len(travellers) || elections == 0 { // on any machine
		t.Errorf("only %d writes and %d elections", answered, elections)
	}
	t.Logf("%d writes answered, %d of unknown outcome, %d elections; the longest took %v", answered, unknown, elections, longest)
}
