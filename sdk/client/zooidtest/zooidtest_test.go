package zooidtest_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/client/zooidtest"
	"github.com/zooid-project/zooid/sdk/wire"
)

const patience = 30 * time.Second * slowdown

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// dial opens a client that ends with the test. Its session is long unless o says otherwise, so that a machine with other things to do costs no connection; the server has to
// allow that (maxSessionTimeout, if its ticks are short).
func dial(t testing.TB, s *zooidtest.Server, o client.Options) *client.Client {
	t.Helper()
	if o.SessionTimeout == 0 {
		o.SessionTimeout = time.Minute
	}
	c, err := client.Dial(within(t), s.ConnectString(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(done()) })
	return c
}

// done is a context that has ended: for closing a client whose server may be gone.
func done() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// connected waits until c has its connection to a restarted server: a write that it still sends on the old one ends in a connection loss.
func connected(t testing.TB, c *client.Client) {
	t.Helper()
	if err := c.Sync(within(t), "/"); err != nil {
		t.Fatal(err)
	}
}

func set(t testing.TB, c *client.Client, path, data string) wire.Stat {
	t.Helper()
	stat, err := c.Set(within(t), path, []byte(data), client.AnyVersion)
	if errors.Is(err, wire.ErrNoNode) {
		_, stat, err = c.CreateStat(within(t), path, []byte(data), client.CreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return stat
}

func get(t testing.TB, c *client.Client, path string) string {
	t.Helper()
	data, _, err := c.Get(within(t), path)
	if err != nil {
		t.Fatalf("get %s: %v", path, err)
	}
	return string(data)
}

func TestDataAndSessionsOutliveTheServer(t *testing.T) {
	ends := map[string]func(*zooidtest.Server){"stop": (*zooidtest.Server).Stop, "kill": (*zooidtest.Server).Kill, "power cut": (*zooidtest.Server).PowerCut}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			s := zooidtest.Start(t)
			c := dial(t, s, client.Options{})
			addr, id := s.Addr(), c.SessionID()
			set(t, c, "/a", "1")
			if _, err := c.Create(within(t), "/e", nil, client.CreateOptions{Mode: wire.Ephemeral}); err != nil {
				t.Fatal(err)
			}
			end(s)
			s.Restart()
			if s.Addr() != addr {
				t.Errorf("it moved from %s to %s", addr, s.Addr())
			}
			if got := get(t, c, "/a"); got != "1" {
				t.Errorf("found %q", got)
			}
			if found, stat, err := c.Exists(within(t), "/e"); err != nil || !found || stat.EphemeralOwner != id || c.SessionID() != id {
				t.Errorf("ephemeral: %v %+v %v, session 0x%x, was 0x%x", found, stat, err, c.SessionID(), id)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	// The digest of super:secret.
	s := zooidtest.Start(t, zooidtest.Set("extendedTypesEnabled", "true"), zooidtest.Set("tickTime", "500"), zooidtest.Set("jute.maxbuffer", "2000"),
		zooidtest.Set("DigestAuthenticationProvider.superDigest", wireDigest("super:secret")), zooidtest.AdminHTTP())
	c := dial(t, s, client.Options{SessionTimeout: time.Hour, Auth: []client.Auth{{Scheme: "digest", Data: []byte("super:secret")}}})
	if got := c.SessionTimeout(); got != 20*500*time.Millisecond {
		t.Errorf("session time-out %v", got)
	}
	if _, err := c.Create(within(t), "/ttl", nil, client.CreateOptions{Mode: wire.PersistentTTL, TTL: time.Hour}); err != nil {
		t.Error(err)
	}
	if _, err := c.Create(within(t), "/long", make([]byte, 3000), client.CreateOptions{}); !errors.Is(err, wire.ErrBadArguments) {
		t.Errorf("a request over jute.maxbuffer: %v", err)
	}
	if _, err := c.SetACL(within(t), "/ttl", []wire.ACL{{Perms: wire.PermRead, ID: wire.ID{Scheme: "digest", ID: "x:y"}}}, client.AnyVersion); err != nil {
		t.Error(err)
	}
	if _, err := c.Set(within(t), "/ttl", nil, client.AnyVersion); err != nil {
		t.Errorf("super was refused: %v", err)
	}
	resp, err := http.Get(s.AdminURL() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("readyz: %s", resp.Status)
	}
}

func wireDigest(credentials string) string { return wire.DigestID([]byte(credentials)) }

func TestInMemoryAndOnDisk(t *testing.T) {
	s := zooidtest.Start(t, zooidtest.InMemory())
	c := dial(t, s, client.Options{})
	set(t, c, "/a", "1")
	c.Close(within(t))
	s.Restart()
	if found, _, err := dial(t, s, client.Options{}).Exists(within(t), "/a"); found || err != nil {
		t.Errorf("memory kept /a: %v %v", found, err)
	}
	dir := t.TempDir()
	s = zooidtest.Start(t, zooidtest.OnDisk(dir))
	set(t, dial(t, s, client.Options{}), "/a", "1")
	s.Stop()
	s = zooidtest.Start(t, zooidtest.OnDisk(dir))
	if got := get(t, dial(t, s, client.Options{}), "/a"); got != "1" {
		t.Errorf("found %q", got)
	}
}
