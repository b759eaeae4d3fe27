package peers

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/wire"
)

// TestObserverMaster: observers that are served by followers see the same service as everybody, and find another master when theirs is killed and when the leader is. The port is the same on all
// voters, so each has an address of its own.
func TestObserverMaster(t *testing.T) {
	beside(t)
	mixes := [][]kind{
		{zooid, zooid, zooid, observing(zooid)},
		{zooid, zooid, zooid, observing(apache38)},
		{apache38, apache38, apache38, observing(zooid)},
		{apache38, zooid, zooid, observing(zooid), observing(apache38)},
		{zooid, apache39, apache39, observing(zooid), observing(apache39)},
	}
	for _, kinds := range mixes {
		t.Run(mixName(kinds), func(t *testing.T) {
			port := freePorts(t, 1)[0]
			e := newEnsemble(t, kinds, fmt.Sprintf("observerMasterPort=%d", port))
			var voters, observers []*member
			for _, m := range e.members {
				m.host = fmt.Sprintf("127.0.0.%d", m.id)
				if m.observer {
					observers = append(observers, m)
				} else {
					voters = append(voters, m)
				}
			}
			e.configure()
			e.startAll()
			e.expectLeader(len(voters))
			leader := e.member(len(voters))

			served := e.waitMasters(port, len(observers))
			var master *member
			for _, m := range voters {
				if m != leader && served[m.host] > 0 {
					master = m
				}
			}
			if master == nil && !observers[len(observers)-1].kind.apache() { // ZooKeeper's take any voter
				t.Fatalf("no follower serves observers: %v", served)
			}
			before := e.fill("before")
			before.checkSessions(t)
			e.checkObservers(observers)
			e.compareTrees()

			if master == nil {
				master = voters[0]
			}
			master.kill()
			e.waitServing()
			if served := e.waitMasters(port, len(observers)); served[master.host] > 0 {
				t.Fatalf("%s was killed, and serves observers: %v", master, served)
			}
			without := e.fill("without")
			without.checkSessions(t)
			e.checkObservers(observers)
			e.compareTrees()

			master.start(t)
			e.waitServing()
			leader.kill()
			e.waitServing()
			e.waitMasters(port, len(observers))
			before.checkSessions(t)
			without.checkSessions(t)
			e.checkObservers(observers)
			e.compareTrees()
			before.end(t)
			without.end(t)
		})
	}
}

// waitMasters returns when so many observers are connected to members on this port, or to a leader of Zooid: to whom, and how many.
func (e *ensemble) waitMasters(port, observers int) (served map[string]int) {
	e.t.Helper()
	eventually(e.t, fmt.Sprintf("%d observers have masters: %s", observers, e.status()), func() bool {
		served = connections(e.t, port)
		n := 0
		for _, s := range served {
			n += s
		}
		return n >= observers
	})
	return served
}

// connections are those to a port on this machine, by the address that was dialled.
func connections(t testing.TB, port int) map[string]int {
	t.Helper()
	found := map[string]int{}
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			fields := strings.Fields(lines.Text()) // number, local, remote, state
			if len(fields) < 4 || fields[3] != "01" || !strings.HasSuffix(fields[2], fmt.Sprintf(":%04X", port)) {
				continue
			}
			address, _, _ := strings.Cut(fields[2], ":")
			var a, b, c, d byte
			if _, err := fmt.Sscanf(address[len(address)-8:], "%02X%02X%02X%02X", &d, &c, &b, &a); err != nil {
				t.Fatal(err)
			}
			found[fmt.Sprintf("%d.%d.%d.%d", a, b, c, d)]++
		}
	}
	return found
}

// checkObservers has sessions at observers, which live by what their masters pass on.
func (e *ensemble) checkObservers(observers []*member) {
	e.t.Helper()
	ctx := within(e.t)
	const timeout = 2 * time.Second // the shortest
	writer := e.connect(e.waitLeader())
	var sessions []*held
	for _, m := range observers {
		h := e.holdFor(m, timeout)
		var err error
		if h.path, err = h.client.Create(ctx, "/observed-", nil, client.CreateOptions{Mode: wire.EphemeralSequential}); err != nil {
			e.t.Fatalf("%s: %v", m, err)
		}
		h.id = h.client.SessionID()
		sessions = append(sessions, h)
	}
	time.Sleep(3 * timeout) // nothing happens: the clients only ping
	for i, m := range observers {
		h := sessions[i]
		if _, err := writer.Set(ctx, h.path, []byte("new"), client.AnyVersion); err != nil {
			e.t.Fatalf("%s: its ephemeral: %v", m, err)
		}
		if err := h.client.Sync(ctx, h.path); err != nil {
			e.t.Fatalf("%s: sync: %v", m, err)
		}
		if data, _, err := h.client.Get(ctx, h.path); err != nil || string(data) != "new" || h.client.SessionID() != h.id {
			e.t.Fatalf("%s: %q after sync, %v, session 0x%x, was 0x%x", m, data, err, h.client.SessionID(), h.id)
		}
		if err := h.client.Close(ctx); err != nil {
			e.t.Fatal(err)
		}
	}
}
