package zookeeper

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/plugins/gateway/zookeeper/protocoltest"
	"github.com/zooid-project/zooid/sdk/inspect"
	"github.com/zooid-project/zooid/sdk/wire"
)

// toldNode is a machine that tells administrators about watches and ephemerals.
type toldNode struct{ *fakeNode }

func (n toldNode) Machine() kernel.StateMachine { return n }

func (n toldNode) Ephemerals(yield func(kernel.SessionID, string) bool) {
	_ = yield(0x11, "/e1") && yield(0x11, "/e2") && yield(0x12, "/f")
}
func (n toldNode) Watches(yield func(string, kernel.SessionID) bool) {
	_ = yield("/a", 0x11) && yield("/a", 0x12) && yield("/b", 0x11)
}
func (n toldNode) WatchSummary() (int, int, int) { return 2, 2, 3 }
func (n toldNode) Digests(yield func(kernel.Zxid, int32, uint64) bool) {
	yield(0x80, 2, 1234567)
}
func (n toldNode) List(yield func(kernel.SessionInfo) bool) { yield(kernel.SessionInfo{ID: 0x11}) }
func (n toldNode) Sessions() kernel.Sessions                { return n }

var _ inspect.Machine = toldNode{}

// Every word has the layout that tools parse (spec server-surface, 2).
func TestWordLayouts(t *testing.T) {
	n := newFakeNode(t)
	g := startHost(t, toldNode{n}, nil)
	addr := clientAddr(g)
	r := protocoltest.Connect(t, addr)
	r.Do(getData("/", false))
	for word, want := range map[string]string{
		"ruok": `^imok$`,
		"isro": `^rw$`,
		"srvr": `^Zookeeper version: 3\.9\.\d+-zooid-[\w.\-]+, built on \d{4}-\d\d-\d\d \d\d:\d\d UTC\nLatency min/avg/max: \d+/\d+\.\d{1,4}/\d+\nReceived: \d+\nSent: \d+\nConnections: 2\nOutstanding: 0\nZxid: 0x0\nMode: standalone\nNode count: 1\n$`,
		"stat": `^Zookeeper version: .*\nClients:\n( /127\.0\.0\.1:\d+\[1\]\(queued=0,recved=\d+,sent=\d+\)\n){2}\nLatency `,
		"cons": `(?m)^ /127\.0\.0\.1:\d+\[1\]\(queued=0,recved=2,sent=2,sid=0x100005bda330001,lop=GETD,est=\d+,to=10000,lcxid=0x1,lzxid=0x\w+,lresp=\d+,llat=\d+,minlat=\d+,avglat=\d+,maxlat=\d+\)$`,
		"conf": `^clientPort=\d+\nsecureClientPort=-1\ndataDir=\ndataDirSize=0\ndataLogDir=\ndataLogSize=0\ntickTime=3000\nmaxClientCnxns=0\nminSessionTimeout=6000\nmaxSessionTimeout=60000\nclientPortListenBacklog=-1\nserverId=0\n$`,
		"dump": `^SessionTracker dump:\nSession Sets \(1\)/\(1\):\n1 expire at .*:\n\t0x11\nephemeral nodes dump:\nSessions with Ephemerals \(2\):\n0x11:\n\t/e1\n\t/e2\n0x12:\n\t/f\nConnections dump:\nConnections Sets \(\d\)/\(\d\):\n`,
		"envi": `^Environment:\nzookeeper\.version=3\.9\.\d+-zooid`,
		"dirs": `^datadir_size: 0\nlogdir_size: 0\n$`,
		"wchs": `^2 connections watching 2 paths\nTotal watches:3\n$`,
		"wchc": `^0x11\n\t/a\n\t/b\n0x12\n\t/a\n\n$`,
		"wchp": `^/a\n\t0x11\n\t0x12\n/b\n\t0x11\n\n$`,
		"hash": `^80: 1234567\n$`,
		"mntr": `^zk_version\t3\.9.*\nzk_server_state\tstandalone\n`,
	} {
		if got := protocoltest.Word(t, addr, word); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%.4s:\n%s\nwant %s", word, got, want)
		}
	}
	for _, c := range [][2]string{{"gtmk", "306"}, {"stmk\x00\x00\x00\x00\x00\x00\x00\x03", "3"}, {"gtmk", "3"}, {"srst", "Server stats reset.\n"}} {
		if got := protocoltest.Word(t, addr, c[0]); got != c[1] {
			t.Errorf("%.4s: %q, want %q", c[0], got, c[1])
		}
	}
	if got := protocoltest.Word(t, addr, "crst"); got != "Connection stats reset.\n" {
		t.Error(got)
	}
	if got := protocoltest.Word(t, addr, "cons"); !strings.Contains(got, "recved=0,sent=0,sid=") {
		t.Error(got)
	}
}

// resettable is a node that begins its sizes of proposals anew.
type resettable struct{ *fakeNode }

func (n resettable) ResetProposals() {
	s := n.Status()
	s.Figures.Proposals = kernel.Sizes{}
	n.setStatus(s)
}

// A leader's srvr and stat have the sizes of proposals, until srst.
func TestProposalSizes(t *testing.T) {
	n := newFakeNode(t)
	status := kernel.Status{Serving: true, Role: kernel.Leading, Members: []kernel.Member{{ID: 1, Voter: true}}, Figures: kernel.Figures{Proposals: kernel.Sizes{Count: 2, Last: 70, Min: 50, Max: 70}}}
	n.setStatus(status)
	addr := clientAddr(startHost(t, resettable{n}, nil))
	sizes := func(want string) {
		t.Helper()
		for _, word := range []string{"srvr", "stat"} {
			if got := protocoltest.Word(t, addr, word); !strings.HasSuffix(got, "\nProposal sizes last/min/max: "+want+"\n") {
				t.Errorf("%s:\n%s\nwant %s", word, got, want)
			}
		}
	}
	sizes("70/50/70")
	protocoltest.Word(t, addr, "srst")
	sizes("-1/-1/-1")
	status.Role = kernel.Following
	n.setStatus(status)
	if got := protocoltest.Word(t, addr, "srvr"); strings.Contains(got, "Proposal") {
		t.Errorf("a follower:\n%s", got)
	}
}

func TestWhitelist(t *testing.T) {
	for given, c := range map[string]struct{ answered, refused string }{
		"srvr":        {"srvr", "ruok"},
		"ruok , mntr": {"ruok mntr srvr", "stat isro"},
		"*":           {"ruok wchp", ""},
		"":            {"srvr", "mntr"},
	} {
		n := newFakeNode(t)
		addr := clientAddr(startGateway(t, n, map[string]string{"words": given}))
		refused := func(w string) bool {
			return protocoltest.Word(t, addr, w) == w+" is not executed because it is not in the whitelist.\n"
		}
		for _, w := range strings.Fields(c.answered) {
			if refused(w) {
				t.Errorf("%q: %s is refused", given, w)
			}
		}
		for _, w := range strings.Fields(c.refused) {
			if !refused(w) {
				t.Errorf("%q: %s is answered", given, w)
			}
		}
	}
	n := newFakeNode(t)
	if got := protocoltest.Word(t, clientAddr(startGateway(t, n, map[string]string{"words": "srvr", "readOnlyMode": "true"})), "isro"); got != "rw" {
		t.Errorf("isro in a server with read-only mode: %q", got)
	}
}

func TestHook(t *testing.T) {
	n := newFakeNode(t)
	var mu sync.Mutex
	var seen []string
	n.stages = kernel.NewStageObserver(func(e kernel.StageEvent) {
		mu.Lock()
		defer mu.Unlock()
		for _, r := range e.Requests {
			seen = append(seen, fmt.Sprintf("%v %v", e.Stage, wire.OpCode(r.Op)))
		}
	})
	r := protocoltest.Connect(t, clientAddr(startGateway(t, n, nil)))
	r.Do(setData("/"))
	r.Do(getData("/", false))
	mu.Lock()
	defer mu.Unlock()
	want := "reply createSession, decode setData, reply setData, decode getData, reply getData"
	if got := strings.Join(seen, ", "); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
