package peers

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/wire"
)

// ensemble is several members. They are numbered from 1, in the order in which they were asked for.
type ensemble struct {
	t       testing.TB
	members []*member
	lines   []string // of every zoo.cfg, besides the members
}

// superAuth is the identity that may read everything, whatever its ACL.
var superAuth = client.Auth{Scheme: "digest", Data: []byte("super:peers")}

var superDigest = wire.DigestID(superAuth.Data)

// observing makes a kind an observer in newEnsemble.
func observing(k kind) kind { return k + " observer" }

// newEnsemble writes the configurations of an ensemble and ends its processes with the test. Nothing is started. Lines that begin with -D are properties of the Java machines.
func newEnsemble(t testing.TB, kinds []kind, lines ...string) *ensemble {
	t.Helper()
	var flags []string
	for i := 0; i < len(lines); {
		if strings.HasPrefix(lines[i], "-D") {
			flags = append(flags, lines[i])
			lines = slices.Delete(slices.Clone(lines), i, i+1)
			continue
		}
		i++
	}
	if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "tickTime=") }) {
		lines = append(lines, "tickTime=1000")
	}
	e := &ensemble{t: t, lines: append([]string{"initLimit=20", "syncLimit=10", "maxSessionTimeout=120000", "admin.enableServer=false", "4lw.commands.whitelist=*",
		"extendedTypesEnabled=true", "DigestAuthenticationProvider.superDigest=" + superDigest}, lines...)}
	dir := t.TempDir()
	ports := freePorts(t, 3*len(kinds))
	for i, k := range kinds {
		whose, observer := strings.CutSuffix(string(k), " observer")
		m := &member{id: i + 1, kind: kind(whose), observer: observer, host: "127.0.0.1", flags: flags, dir: filepath.Join(dir, fmt.Sprint(i+1)), ports: memberPorts{ports[3*i], ports[3*i+1], ports[3*i+2]}}
		needApache(t, m.kind)
		m.writeID(t)
		e.members = append(e.members, m)
	}
	e.configure()
	t.Cleanup(func() {
		for _, m := range e.members {
			m.kill() // a paused one too
		}
		if t.Failed() {
			for _, m := range e.members {
				t.Logf("the log of %s ends:\n%s", m, tail(m.log()))
			}
		}
	})
	return e
}

// configure writes every member's zoo.cfg.
func (e *ensemble) configure() {
	e.t.Helper()
	var all []string
	for _, m := range e.members {
		all = append(all, m.line())
	}
	for _, m := range e.members {
		lines := append([]string{"dataDir=" + m.data()}, append(e.lines, all...)...)
		if m.observer {
			lines = append(lines, "peerType=observer")
		}
		if err := os.WriteFile(filepath.Join(m.dir, "zoo.cfg"), []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			e.t.Fatal(err)
		}
	}
}

// freePorts finds ports below those that the kernel gives to outgoing connections, so that a server that is restarted finds its own free.
func freePorts(t testing.TB, n int) []int {
	t.Helper()
	var ports []int
	for tries := 0; len(ports) < n; tries++ {
		if tries > 1000 {
			t.Fatal("no free ports")
		}
		port := 12000 + rand.IntN(18000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		defer l.Close() // kept until all are found, so that none comes twice
		ports = append(ports, port)
	}
	return ports
}

// member is the one with that id.
func (e *ensemble) member(id int) *member { return e.members[id-1] }

// startAll starts every member, the one with the highest id first: between equals that one leads.
func (e *ensemble) startAll() {
	e.t.Helper()
	for i := len(e.members) - 1; i >= 0; i-- {
		e.members[i].start(e.t)
	}
	e.waitServing()
}

// running are the members whose processes run. One that has ended by itself fails the test.
func (e *ensemble) running() []*member {
	e.t.Helper()
	var out []*member
	for _, m := range e.members {
		if m.wanted && !m.running() {
			e.t.Fatalf("%s has ended by itself", m)
		}
		if m.wanted {
			out = append(out, m)
		}
	}
	return out
}

// waitServing returns when every member that runs serves clients, one of them as the leader.
func (e *ensemble) waitServing() {
	e.t.Helper()
	eventually(e.t, "every server serves: "+e.status(), func() bool {
		leaders := 0
		for _, m := range e.running() {
			switch m.mode() {
			case "leader":
				leaders++
			case "follower", "observer":
			default:
				return false
			}
		}
		return leaders == 1
	})
}

// leader is who leads now, nil if nobody says so.
func (e *ensemble) leader() *member {
	for _, m := range e.running() {
		if m.mode() == "leader" {
			return m
		}
	}
	return nil
}

// waitLeader returns the leader once there is one.
func (e *ensemble) waitLeader() *member {
	e.t.Helper()
	var leader *member
	eventually(e.t, "somebody leads", func() bool { leader = e.leader(); return leader != nil })
	return leader
}

// expectLeader checks who leads.
func (e *ensemble) expectLeader(id int) {
	e.t.Helper()
	if m := e.waitLeader(); m.id != id {
		e.t.Fatalf("%s leads, not server %d", m, id)
	}
}

// leadInTurn starts three servers, of which the last leads, fills the tree, and has the second lead without the last one, which comes back. Sessions have gone on.
func (e *ensemble) leadInTurn() (before *content) {
	e.t.Helper()
	e.startAll()
	e.expectLeader(3)
	before = e.fill("before")
	e.level() // or the one that has the last write leads next
	e.member(3).kill()
	e.waitServing()
	e.expectLeader(2)
	before.checkSessions(e.t)
	e.member(3).start(e.t)
	e.waitServing()
	return before
}

func (e *ensemble) status() string {
	var out []string
	for _, m := range e.members {
		text := "does not run"
		if m.running() {
			text = m.mode()
		}
		out = append(out, fmt.Sprintf("%s: %s", m, text))
	}
	return strings.Join(out, ", ")
}

func (e *ensemble) connectString() string {
	var hosts []string
	for _, m := range e.members {
		hosts = append(hosts, m.addr())
	}
	return strings.Join(hosts, ",")
}

// connect opens a session of the super user, closed with the test. Without members it is one of all.
func (e *ensemble) connect(to ...*member) *client.Client {
	e.t.Helper()
	hosts := e.connectString()
	if len(to) > 0 {
		hosts = to[0].addr()
	}
	c, err := client.New(hosts, client.Options{SessionTimeout: 60 * time.Second, Auth: []client.Auth{superAuth}})
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = c.Close(ctx) // its server may be gone
	})
	return c
}

// within is the context of one call.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}
