package peers

import (
	"fmt"
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/wire"
)

// TestExpiry: what a leader ends by itself, silent sessions, containers and nodes whose time is over, ends on all members, whichever kind leads and whichever the sessions are at.
func TestExpiry(t *testing.T) {
	for _, kinds := range [][]kind{{zooid, zooid, apache38}, {apache38, apache38, zooid}, {zooid, zooid, apache39}, {apache39, apache39, zooid}} {
		t.Run(mixName(kinds), func(t *testing.T) {
			e := newEnsemble(t, kinds, "znode.container.checkIntervalMs=500", "-Dznode.container.checkIntervalMs=500")
			e.startAll()
			e.expectLeader(3)
			c := e.connect(e.member(1))
			ctx := within(t)
			create := func(path string, o client.CreateOptions) {
				t.Helper()
				if _, err := c.Create(ctx, path, nil, o); err != nil {
					t.Fatal(err)
				}
			}
			create("/container", client.CreateOptions{Mode: wire.Container})
			create("/container/child", client.CreateOptions{})
			create("/ttl", client.CreateOptions{Mode: wire.PersistentTTL, TTL: time.Second})
			create("/parent", client.CreateOptions{Mode: wire.PersistentTTL, TTL: time.Second}) // has a child: stays
			create("/parent/child", client.CreateOptions{})
			var gone []string
			for _, m := range e.members { // sessions that fall silent
				h := e.holdFor(m, 4*time.Second)
				path := fmt.Sprintf("/silent-%d", m.id)
				if _, err := h.client.Create(ctx, path, nil, client.CreateOptions{Mode: wire.Ephemeral}); err != nil {
					t.Fatal(err)
				}
				h.leave()
				gone = append(gone, path)
			}
			kept := e.hold(e.member(2), 0, nil)
			if _, err := kept.client.Create(ctx, "/kept", nil, client.CreateOptions{Mode: wire.Ephemeral}); err != nil {
				t.Fatal(err)
			}
			if err := c.Delete(ctx, "/container/child", client.AnyVersion); err != nil {
				t.Fatal(err)
			}
			for _, path := range append(gone, "/container", "/ttl") {
				eventually(t, path+" goes", func() bool {
					found, _, err := c.Exists(ctx, path)
					if err != nil {
						t.Fatal(err)
					}
					return !found
				})
			}
			for _, path := range []string{"/parent/child", "/kept"} {
				if found, _, err := c.Exists(ctx, path); err != nil || !found {
					t.Fatalf("%s is gone (%v)", path, err)
				}
			}
			e.compareTrees()
		})
	}
}
