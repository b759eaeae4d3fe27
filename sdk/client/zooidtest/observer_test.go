package zooidtest_test

import (
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/client/zooidtest"
)

// TestObserverMasters: what clients of an observer do goes through a follower, and they stay when that is another one and when the leader is.
func TestObserverMasters(t *testing.T) {
	e := zooidtest.StartEnsemble(t, 3, 1, zooidtest.Set("tickTime", "500"), zooidtest.Set("observerMasterPort", "2191"))
	observer, leader := e.Servers[3], e.Leader()
	c := dial(t, observer, client.Options{SessionTimeout: 4 * time.Second})
	other := dial(t, e.Followers()[0], client.Options{})
	check := func(value string) {
		t.Helper()
		set(t, c, "/a", value)
		if got := get(t, c, "/a"); got != value {
			t.Errorf("the observer has %q after %q was written through it", got, value)
		}
		set(t, other, "/b", value)
		if err := c.Sync(within(t), "/b"); err != nil {
			t.Fatal(err)
		}
		if got := get(t, c, "/b"); got != value {
			t.Errorf("the observer has %q after a sync, and %q was written before", got, value)
		}
	}
	check("1")
	was := c.SessionID()
	for i, f := range e.Followers() {
		e.Reset(observer, f)
		check(string(rune('2' + i)))
	}
	if id := c.SessionID(); id != was {
		t.Errorf("session 0x%x became 0x%x", was, id)
	}
	leader.Kill()
	e.AwaitLeader(leader)
	e.Wait()
	other = dial(t, e.Leader(), client.Options{})
	check("4")
	if id := c.SessionID(); id != was {
		t.Errorf("session 0x%x became 0x%x", was, id)
	}
}
