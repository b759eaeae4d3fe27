package znode

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
)

// quota makes a quota root as command line tools do: limits first, then stats.
func (c *conn) quota(root, limits string) {
	c.d.t.Helper()
	for i := 1; i <= len(root); i++ {
		if i == len(root) || root[i] == '/' {
			c.do(create(wire.QuotaPath+root[:i], ""))
		}
	}
	c.want(0, create(quotaPath(root, wire.QuotaLimitsNode), limits))
	c.want(0, create(quotaPath(root, wire.QuotaStatsNode), "count=0,bytes=0"))
}

func (c *conn) usage(root, want string) {
	c.d.t.Helper()
	r := c.want(0, get(wire.OpGetData, quotaPath(root, wire.QuotaStatsNode), false))
	if string(r.Data) != want {
		c.d.t.Fatalf("usage of %s: %s, want %s", root, r.Data, want)
	}
}

func TestQuota(t *testing.T) {
	d := newDriver(t, map[string]string{"enforceQuota": "true"})
	c := d.client()
	c.want(0, create("/q", "abc"))
	c.want(0, create("/q/x", "de"))
	c.want(0, create("/qx", "not below /q"))
	c.quota("/q", "count=-1,bytes=-1=;byteHardLimit=20;countHardLimit=4")
	c.usage("/q", "count=2,bytes=5")
	stat := c.want(0, get(wire.OpExists, quotaPath("/q", wire.QuotaStatsNode), false)).Stat
	c.want(0, create("/q/y", "1234"))
	c.usage("/q", "count=3,bytes=9")
	c.want(0, createMode("/q/e", wire.Ephemeral))
	c.want(wire.ErrQuotaExceeded, create("/q/z", ""))
	c.want(wire.ErrQuotaExceeded, create("/q/x/z", ""))
	c.want(wire.ErrQuotaExceeded, set("/q/x", "12345678901234", 99)) // before the version
	c.want(wire.ErrBadVersion, set("/q/x", "12", 99))
	c.want(0, set("/q/x", "1234567890123", -1))
	c.usage("/q", "count=4,bytes=20")
	c.want(0, del("/q/y", -1))
	c.usage("/q", "count=3,bytes=16")
	if s := c.want(0, get(wire.OpExists, quotaPath("/q", wire.QuotaStatsNode), false)).Stat; s.Version != stat.Version || s.Mzxid != stat.Mzxid {
		t.Fatalf("counting changed the Stat: %+v", s)
	}
	// The deepest root alone counts.
	c.quota("/q/x", "count=-1,bytes=-1")
	c.want(0, create("/q/x/deep", "ab"))
	c.usage("/q", "count=3,bytes=16")
	c.usage("/q/x", "count=2,bytes=15")
	c.want(0, del(quotaPath("/q/x", wire.QuotaLimitsNode), -1))
	c.want(0, del("/q/x/deep", -1))
	c.usage("/q", "count=2,bytes=14")
	// What a client writes into the stats is taken as truth; what cannot be read is not taken, and 0 where it stands already.
	c.want(0, set(quotaPath("/q", wire.QuotaStatsNode), "count=100,bytes=100", -1))
	c.want(wire.ErrQuotaExceeded, create("/q/z", ""))
	garbage := set(quotaPath("/q", wire.QuotaStatsNode), "count=many,,;bytes", -1)
	c.want(wire.ErrBadArguments, garbage)
	foreign := wire.Entry{Header: wire.TxnHeader{Zxid: int64(d.next), Type: wire.OpSetData}, Txn: wire.Txn{Type: wire.OpSetData, Path: garbage.Path, Data: garbage.Data, Version: 2}}
	d.apply([]kernel.Committed{{Zxid: d.next, Data: foreign.AppendTo(nil)}})
	d.next++
	c.want(0, create("/q/z", "x"))
	c.usage("/q", "count=1,bytes=1")
	// A limit that cannot be read is none.
	c.want(0, set(quotaPath("/q", wire.QuotaLimitsNode), "countHardLimit=many;byteHardLimit=99999999999999999999", -1))
	c.want(0, create("/q/free", string(make([]byte, 100))))
	d.restart(true)
	c = d.client()
	c.usage("/q", "count=2,bytes=101")
	d.verify()
}

// TestQuotaNames has nodes whose names or places look like quota nodes and are none.
func TestQuotaNames(t *testing.T) {
	d := newDriver(t, map[string]string{"enforceQuota": "true"})
	c := d.client()
	for _, p := range []string{"/zookeeper/quota/zookeeper_limits", "/zookeeper/quota/zookeeper_stats"} { // the root of the tree has no quota
		c.want(wire.ErrBadArguments, create(p, "count=1,bytes=1"))
	}
	for _, p := range []string{
		"/zookeeper/quotaX", "/zookeeper/quotaX/zookeeper_limits", "/zookeeper/quotaX/zookeeper_stats",
		"/zookeeperx", "/zookeeperx/zookeeper_limits", "/zookeeper/zookeeper_limits", "/zookeeper_limits",
	} {
		c.want(0, create(p, "countHardLimit=0"))
		if root, _ := quotaRoot(p); root != "" {
			t.Errorf("%s is taken for a quota node of %s", p, root)
		}
	}
	if len(d.m.quotas.byRoot) != 0 {
		t.Errorf("roots: %v", d.m.quotas.byRoot)
	}
	for _, p := range []string{"/zookeeperx/zookeeper_limits", "/zookeeper/zookeeper_limits", "/zookeeper_limits"} {
		c.want(0, del(p, -1))
	}
	d.verify()
}

// TestRecount sets a quota on a subtree that is counted beside apply, while it changes.
func TestRecount(t *testing.T) {
	d := newDriver(t, nil)
	c := d.client()
	c.want(0, create("/q", ""))
	make500 := func(name string) {
		var reqs []*kernel.Request
		for i := range 500 {
			reqs = append(reqs, c.request(create(fmt.Sprintf("/q/%s-%d", name, i), "ab")))
		}
		d.apply(d.prepare(reqs...))
		c.take()
	}
	for _, name := range []string{"a", "b", "c", "d"} {
		make500(name)
	}
	c.quota("/q", "count=-1,bytes=-1")
	make500("during")
	c.want(0, del("/q/a-1", -1))
	d.m.running.Wait()
	c.usage("/q", "count=2500,bytes=4998")
	c.want(0, del("/q/a-2", -1))
	c.usage("/q", "count=2499,bytes=4996")
	d.viaSnapshot()
	d.m.running.Wait()
	c = d.client()
	c.usage("/q", "count=2499,bytes=4996")
	d.verify()
}

// TestSoftQuota passes limits that warn and refuse nothing: the log hears of a root once a minute, and of nothing that a hard limit deals with.
func TestSoftQuota(t *testing.T) {
	d := newDriver(t, map[string]string{"enforceQuota": "true"})
	var log bytes.Buffer // the machine prepares on the goroutine of the test
	d.env.Logger, d.env.Now = slog.New(slog.NewTextHandler(&log, nil)), func() time.Time { return d.now }
	d.restart(true)
	c := d.client()
	warned := func(wants ...string) {
		t.Helper()
		text := log.String()
		log.Reset()
		if n := strings.Count(text, "a soft quota is exceeded"); n != min(1, len(wants)) {
			t.Errorf("%d warnings, want %d: %s", n, min(1, len(wants)), text)
		}
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%q is missing: %s", want, text)
			}
		}
	}
	c.want(0, create("/q", "abc"))
	c.want(0, create("/both", ""))
	c.quota("/q", "count=2,bytes=5")
	c.quota("/both", "count=1,bytes=1=;byteHardLimit=100;countHardLimit=100")
	c.want(0, create("/q/x", "de"))
	warned() // at the limit is not beyond it
	c.want(0, create("/q/y", ""))
	warned("level=WARN", "path=/q ", "count=3", "countLimit=2", "bytes=5", "bytesLimit=5")
	c.want(0, set("/q/x", "def", -1))
	warned()
	d.now = d.now.Add(time.Minute)
	c.want(0, set("/q/x", "defg", -1))
	warned() // a minute, but not more
	d.now = d.now.Add(time.Second)
	c.want(0, set("/q/x", "defgh", -1))
	warned("path=/q ", "bytes=8", "bytesLimit=5")
	c.want(0, create("/both/x", "abc"))
	warned() // the hard limit counts
	d.verify()
}
