package zooidtest_test

import (
	"testing"

	"github.com/zooid-project/zooid/plugins/gateway/zookeeper/protocoltest"
	"github.com/zooid-project/zooid/sdk/client/zooidtest"
	"github.com/zooid-project/zooid/sdk/wire"
)

func createOf(path string, mode wire.CreateMode) wire.Request {
	return wire.Request{Op: wire.Op{Code: wire.OpCreate, Path: path, Mode: mode, ACL: wire.OpenACL}}
}

// takeUp asks for r's session on a new connection.
func takeUp(t *testing.T, s *zooidtest.Server, r *protocoltest.Raw) (*protocoltest.Raw, wire.ConnectResponse) {
	t.Helper()
	again := protocoltest.Dial(t, s.Addr())
	again.SendConnect(wire.ConnectRequest{TimeoutMs: 10000, SessionID: r.Session.SessionID, Password: r.Session.Password[:], HasReadOnly: true})
	return again, again.ReceiveConnect(true)
}

// A local session costs no transaction, owns no ephemeral nodes unless it may become a global one, can be taken up on its server, and ends with it.
func TestLocalSessions(t *testing.T) {
	s := zooidtest.Start(t, zooidtest.Set("localSessionsEnabled", "true"))
	before := s.Host().Status().LastProposed
	r := protocoltest.Connect(t, s.Addr())
	if now := s.Host().Status().LastProposed; now != before {
		t.Fatalf("the session took a transaction: %s, then %s", before, now)
	}
	r.Do(createOf("/p", wire.Persistent))
	r.Send(protocoltest.Request(1, createOf("/e", wire.Ephemeral)))
	r.Expect(1, wire.ErrEphemeralOnLocalSession)
	r.Conn.Close()
	if _, resp := takeUp(t, s, r); resp.SessionID != r.Session.SessionID {
		t.Fatal("refused on its own server")
	}
	s.Restart()
	if _, resp := takeUp(t, s, r); resp.SessionID != 0 || resp.TimeoutMs != 0 {
		t.Fatalf("after a restart: %+v", resp)
	}
}

// With upgrading, the first ephemeral node of a session takes two transactions, the session's and its own, further ones take one; the session then outlives its server as any other.
func TestLocalSessionsUpgrade(t *testing.T) {
	s := zooidtest.Start(t, zooidtest.Set("localSessionsEnabled", "true"), zooidtest.Set("localSessionsUpgradingEnabled", "true"))
	r, local := protocoltest.Connect(t, s.Addr()), protocoltest.Connect(t, s.Addr())
	r.Send(protocoltest.Request(1, createOf("/p", wire.Persistent)))
	first := r.Expect(1, wire.ErrOK).Zxid
	var burst []byte
	for xid, path := range []string{"/e1", "/e2", "/e3"} {
		burst = append(burst, protocoltest.Request(int32(xid), createOf(path, wire.Ephemeral))...)
	}
	r.Send(burst)
	for xid := range int64(3) {
		if f := r.Expect(int32(xid), wire.ErrOK); f.Zxid != first+2+xid {
			t.Errorf("ephemeral %d: zxid %x after %x", xid, f.Zxid, first)
		}
	}
	multi := protocoltest.Connect(t, s.Addr())
	multi.Send(protocoltest.Request(1, wire.Request{Op: wire.Op{Code: wire.OpMulti}, Ops: []wire.Op{
		createOf("/m", wire.Persistent).Op, createOf("/m2", wire.EphemeralSequential).Op}}))
	if f := multi.Expect(1, wire.ErrOK); f.Zxid != first+6 {
		t.Errorf("multi: zxid %x after %x", f.Zxid, first)
	}

	s.Kill()
	s.Restart()
	if _, resp := takeUp(t, s, local); resp.SessionID != 0 {
		t.Error("a local session has survived the server")
	}
	again, resp := takeUp(t, s, r)
	if resp.SessionID != r.Session.SessionID {
		t.Fatal("the upgraded session is gone")
	}
	own := again.Do(wire.Request{Op: wire.Op{Code: wire.OpGetEphemerals}})
	if len(own.Children) != 3 {
		t.Errorf("ephemerals %v", own.Children)
	}
	again.Do(wire.Request{Op: wire.Op{Code: wire.OpCloseSession}})
	again.ExpectClosed()
	other := protocoltest.Connect(t, s.Addr())
	other.Send(protocoltest.Request(1, wire.Request{Op: wire.Op{Code: wire.OpExists, Path: "/e1"}}))
	other.Expect(1, wire.ErrNoNode)
	if info, known := s.Host().Machine().Sessions().Find(999); known {
		t.Errorf("a session that never was: %+v", info)
	}
}

// An ephemeral node of a local session that may not become a global one is refused with its own code, by whichever server the client is on: SESSIONEXPIRED would make it give up a session that
// lives. What the session may do it does, before and after.
func TestLocalSessionsOfAnEnsembleOwnNothing(t *testing.T) {
	e := zooidtest.StartEnsemble(t, 3, 1, append([]zooidtest.Option{zooidtest.Set("localSessionsEnabled", "true")}, quick...)...)
	for _, s := range e.Servers {
		role := s.Host().Status().Role
		root := "/" + role.String() + s.Addr()
		r := protocoltest.Connect(t, s.Addr())
		r.Send(append(append(append(append(
			protocoltest.Request(1, createOf(root, wire.Persistent)),
			protocoltest.Request(2, createOf(root+"/e", wire.Ephemeral))...),
			protocoltest.Request(3, createOf(root+"/e-", wire.EphemeralSequential))...),
			protocoltest.Request(4, wire.Request{Op: wire.Op{Code: wire.OpMulti}, Ops: []wire.Op{createOf(root+"/p", wire.Persistent).Op, createOf(root+"/e", wire.Ephemeral).Op}})...),
			protocoltest.Request(5, createOf(root+"/last", wire.Persistent))...))
		r.Expect(1, wire.ErrOK)
		r.Expect(2, wire.ErrEphemeralOnLocalSession)
		r.Expect(3, wire.ErrEphemeralOnLocalSession)
		multi := r.Expect(4, wire.ErrOK)
		var resp wire.Response
		if err := wire.DecodeResponse(wire.OpMulti, multi.Body, &resp); err != nil || len(resp.Results) != 2 || resp.Results[1].Err != wire.ErrEphemeralOnLocalSession {
			t.Errorf("%s: in a multi: %+v, %v", role, resp.Results, err)
		}
		r.Expect(5, wire.ErrOK)
		kids := r.Do(wire.Request{Op: wire.Op{Code: wire.OpGetChildren, Path: root}})
		if len(kids.Children) != 1 || kids.Children[0] != "last" {
			t.Errorf("%s: left are %q", role, kids.Children)
		}
	}
}
