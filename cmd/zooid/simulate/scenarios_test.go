package simulate

import (
	"fmt"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/kernel/sim"
	"github.com/zooid-project/zooid/sdk/wire"
)

// The scenarios of spec zab, 18, that need whole servers. docs/simulator.md lists all of them.

// S-01: a leader that is cut off logs a write alone; its successor goes on without it. When it comes back nothing of that write is left, on its disk or in its tree.
func TestS01LoggedAloneThenCut(t *testing.T) {
	for name, more := range map[string]int{"nothing since": 0, "writes since": 5} {
		t.Run(name, func(t *testing.T) {
			s := ledBy3(t)
			c := s.client(3)
			s.write(c, 3)
			s.alone(c, 3)
			s.until("another leads", func() bool { return s.w.Server(1).Leading() || s.w.Server(2).Leading() })
			s.write(s.client(1), more)
			s.w.Heal()
			s.serves(1, 2, 3)
			if v := s.model.now("/alone"); v.exists {
				t.Fatal("the write that one server had was committed")
			}
			s.finish()
		})
	}
}

// S-02, S-04: an entry that one server logged in an epoch long over is not brought back by any later leader.
func TestS02OrphanOfAnOldEpoch(t *testing.T) {
	s := ledBy3(t)
	s.write(s.client(3), 2)
	s.kill(1, 2, 3)
	s.start(1, 2)
	s.leads(2)
	s.alone(s.client(2), 2)
	s.kill(1, 2)
	s.w.Heal()
	s.start(1, 3)
	s.until("1 and 3 serve", func() bool { return s.w.Server(1).Serving() && s.w.Server(3).Serving() })
	s.kill(1, 3)
	s.start(2, 3)
	s.until("2 and 3 serve", func() bool { return s.w.Server(2).Serving() && s.w.Server(3).Serving() })
	s.write(s.client(3), 2)
	s.powerOff(2, 3)
	s.start(1, 2, 3)
	s.serves(1, 2, 3)
	s.finish()
}

// S-05, S-36, S-37: what was read back from the page cache, voted with and accepted in a new epoch without a new byte, survives the power cut of everybody.
func TestS36RestartedThenPowerCut(t *testing.T) {
	s := ledBy3(t)
	c := s.client(3)
	for range 10 {
		s.write(c, 2)
		s.kill(1, 2, 3)
		s.start(1, 2, 3)
		s.serves(1, 2, 3)
		s.powerOff(1, 2, 3)
		s.start(1, 2, 3)
		s.serves(1, 2, 3)
		if c.conn != nil {
			c.lose()
		}
		s.connect(c, 1)
	}
	s.finish()
}

// S-07, S-64, S-71, S-81: a server whose disk has failed once gives up, whatever its role, and comes back with nothing lost.
func TestS71DiskError(t *testing.T) {
	for _, id := range []kernel.ServerID{1, 3} {
		t.Run(fmt.Sprintf("server %d", id), func(t *testing.T) {
			s := ledBy3(t)
			c := s.client(2)
			s.write(c, 2)
			s.w.Server(id).BreakSync()
			c.ask(wire.Request{Op: create("/while")})
			s.until("it has given up", func() bool { return !s.w.Server(id).Up() })
			s.until("the others serve", func() bool { return s.w.Server(2).Serving() })
			s.write(s.client(2), 2)
			s.start(id)
			s.serves(1, 2, 3)
			s.finish()
		})
	}
}

// S-08, S-50, S-51, S-52, S-56, S-58, S-62, S-80: the power goes in the middle of any disk operation of a synchronization, be it a DIFF, a TRUNC or a SNAP. Nothing that was confirmed is lost, and the server comes up.
func TestS51CrashAtEveryDiskOperation(t *testing.T) {
	ways := map[string]func(s *story){
		"DIFF": func(s *story) {
			s.kill(1)
			s.write(s.client(3), 4)
		},
		"SNAP": func(s *story) {
			s.kill(1)
			s.w.Server(1).Wipe()
			s.write(s.client(3), 4)
		},
		"TRUNC": func(s *story) {
			c := s.client(3)
			s.alone(c, 3)
			s.until("another leads", func() bool { return s.w.Server(2).Leading() })
			s.kill(3)
			s.w.Heal()
			s.write(s.client(2), 1)
		},
	}
	for name, before := range ways {
		t.Run(name, func(t *testing.T) {
			const most = 60 // 34 when this was written
			for n := 1; ; n++ {
				if n > most {
					t.Fatalf("more than %d operations: the last ones were not cut", most)
				}
				s := ledBy3(t)
				s.write(s.client(3), 4)
				before(s)
				behind := s.w.Server(1)
				if behind.Up() {
					behind = s.w.Server(3)
				}
				behind.Start()
				behind.CutPowerIn(n)
				cut := s.w.RunUntil(5*time.Second, func() bool { return !behind.Up() })
				if n == 1 && !cut {
					t.Fatal("the disk did nothing")
				}
				s.w.Calm()
				s.serves(1, 2, 3)
				s.finish()
				s.w.Close()
				if !cut {
					t.Logf("%d operations", n-1)
					break
				}
			}
		})
	}
}

// S-09, S-70, S-115: a session ends while a server is away. When it is back, by DIFF or by SNAP, it has neither the session nor its nodes.
func TestS09EphemeralsOfEndedSessions(t *testing.T) {
	for name, wipe := range map[string]bool{"DIFF": false, "SNAP": true} {
		t.Run(name, func(t *testing.T) {
			s := ledBy3(t)
			c := s.client(1)
			e := create("/mine")
			e.Mode = wire.Ephemeral
			s.do(c, e)
			s.kill(1)
			if wipe {
				s.w.Server(1).Wipe()
			}
			if c.conn != nil {
				c.lose()
			}
			s.until("the session has expired", func() bool { return !s.model.now("/mine").exists })
			s.start(1)
			s.serves(1, 2, 3)
			s.finish()
		})
	}
}

// S-12: a leader that is cut off does not answer a sync: others may lead, and have committed newer writes.
func TestS12DeposedLeaderDoesNotAnswerSync(t *testing.T) {
	s := ledBy3(t)
	old := s.client(3)
	s.write(old, 1)
	s.w.Partition(3)
	asked := old.ask(wire.Request{Op: wire.Op{Code: wire.OpSync, Path: "/"}})
	read := old.ask(wire.Request{Op: wire.Op{Code: wire.OpExists, Path: "/new"}})
	s.until("another leads", func() bool { return s.w.Server(2).Leading() })
	s.do(s.client(2), create("/new"))
	s.w.RunFor(5 * time.Second)
	if asked.outcome == answered || read.outcome == answered {
		t.Fatal("a leader without its ensemble has answered a sync")
	}
	s.w.Heal()
	s.serves(1, 2, 3)
	s.finish()
}

// S-33: a request that cannot be decoded, sent past the gateway's check through a learner, takes no other's zxid, and writes go on.
func TestS33UndecodableRequest(t *testing.T) {
	s := ledBy3(t)
	for _, id := range []kernel.ServerID{1, 3} {
		c := s.client(id)
		s.write(c, 1)
		bad := &kernel.Request{Session: c.session, Cxid: 1000, Op: int32(wire.OpCreate2), Body: []byte{0, 0, 0, 9, '/'}, Conn: &answer{}}
		if err := s.w.Server(id).Host().Submit(bad); err != nil {
			t.Fatal(err)
		}
		s.write(c, 3)
	}
	s.finish()
}

// S-55, S-63: a server that was brought up by a DIFF leads, and brings up another one by a DIFF: there is no hole in what it hands on.
func TestS55LeaderThatCameByDiff(t *testing.T) {
	s := ledBy3(t)
	c := s.client(3)
	s.write(c, 2)
	s.kill(1, 2)
	s.start(2)
	s.serves(2)
	s.write(s.client(3), 3)
	s.kill(2)
	s.start(1)
	s.serves(1)
	s.write(s.client(3), 3)
	s.start(2)
	s.serves(2)
	s.kill(3)
	s.until("1 and 2 serve", func() bool { return s.w.Server(1).Serving() && s.w.Server(2).Serving() })
	s.write(s.client(1), 2)
	s.start(3)
	s.serves(1, 2, 3)
	s.finish()
}

// S-58: a snapshot breaks off, and the next leader is another one. What arrived of it never counts.
func TestS58SnapshotBreaksOff(t *testing.T) {
	s := tell(t, 5, 0)
	s.start(1, 2, 3, 4, 5)
	s.leads(5)
	s.write(s.client(5), 6)
	s.kill(1)
	s.w.Server(1).Wipe()
	s.w.TearStream()
	s.start(1)
	s.until("the snapshot has broken off", func() bool { return s.w.Tally[sim.MarkStreamTorn] > 0 })
	if s.w.Tally["SNAP"] > 0 {
		t.Error("half a snapshot was taken over")
	}
	s.kill(5)
	s.start(5)
	s.serves(1, 2, 3, 4, 5)
	s.finish()
}

// S-60, S-66, S-69: a follower and an observer without anything join while writes go on; they lack nothing and have nothing twice.
func TestS66JoiningUnderLoad(t *testing.T) {
	s := tell(t, 3, 1)
	s.start(1, 2, 3, 4)
	s.leads(3)
	c := s.client(3)
	for round := range 4 {
		for _, id := range []kernel.ServerID{1, 4} {
			s.powerOff(id)
			if round%2 == 0 {
				s.w.Server(id).Wipe()
			}
		}
		s.write(c, 5)
		s.start(1, 4)
		for !s.w.Server(1).Serving() || !s.w.Server(4).Serving() {
			if s.write(c, 1); s.w.Now() > 10*time.Minute {
				t.Fatal("they do not come to serve")
			}
		}
	}
	s.serves(1, 2, 3, 4)
	s.finish()
}

// S-82: a voter whose disk is empty and one that lags make no quorum: what is committed stands on the third one.
func TestS82WipedVoterHasNoVote(t *testing.T) {
	s := ledBy3(t)
	s.write(s.client(3), 1)
	s.kill(2)
	s.write(s.client(3), 3)
	s.kill(1, 3)
	s.w.Server(1).Wipe()
	s.start(1, 2)
	s.w.RunFor(30 * time.Second)
	if s.w.Server(1).Leading() || s.w.Server(2).Leading() {
		t.Fatal("two servers of which one has nothing, and the other less than was committed, serve")
	}
	s.start(3)
	s.serves(1, 2, 3)
	s.finish()
}

// S-91, S-92: a server that was away for rounds of elections finds the leader that there is.
func TestS92LateServerJoins(t *testing.T) {
	s := ledBy3(t)
	s.w.Partition(1)
	for range 3 {
		s.kill(3)
		s.w.RunFor(3 * time.Second)
		s.start(3)
		s.until("two serve", func() bool { return s.w.Server(2).Serving() && s.w.Server(3).Serving() })
	}
	s.w.Heal()
	s.serves(1, 2, 3)
	s.finish()
}

// S-101, S-105: a leader is lost at any moment of a change of the members. The change stands or falls, for everybody alike, also for the leader when it is back and for the server that was to join.
func TestS105LeaderLostInAChange(t *testing.T) {
	stood, fell := 0, 0
	for after := time.Duration(0); after <= 12*time.Millisecond; after += 300 * time.Microsecond {
		s := tellWith(t, sim.Options{Seed: uint64(after), Voters: 3, Spares: 1})
		s.start(1, 2, 3, 4)
		s.leads(3)
		s.serves(1, 2, 4)
		c := s.client(3)
		s.write(c, 1)
		c.ask(wire.Request{Op: wire.Op{Code: wire.OpReconfig}, Joining: sim.Lines([]kernel.ServerID{4}, nil), ConfigID: -1})
		s.w.RunFor(after)
		s.powerOff(3)
		s.until("somebody else leads", func() bool { return s.w.Server(1).Leading() || s.w.Server(2).Leading() || s.w.Server(4).Leading() })
		s.write(s.client(2), 2)
		s.start(3)
		s.finish()
		e := s.w.Ensemble()
		if e.IsVoter(4) {
			stood++
		} else {
			fell++
		}
		s.w.Close()
	}
	if stood == 0 || fell == 0 {
		t.Errorf("the change stood %d times and fell %d times", stood, fell)
	}
}

// S-110: the write of a lone client needs nobody else's traffic.
func TestS110LoneWrite(t *testing.T) {
	s := tell(t, 3, 1)
	s.start(1, 2, 3, 4)
	s.leads(3)
	s.serves(1, 2, 3, 4)
	for id := kernel.ServerID(1); id <= 4; id++ {
		c := s.client(id)
		s.w.RunFor(time.Second)
		asked := s.w.Now()
		s.do(c, create(fmt.Sprintf("/lone%d", id)))
		if took := s.w.Now() - asked; took > 50*time.Millisecond {
			t.Errorf("server %d: %v", id, took)
		}
	}
	s.finish()
}

// S-111: a session moves while a multi of it is on its way: the multi happens once at most, and what the session does next on the new server comes behind it.
func TestS111SessionMovesWithAMultiUnderWay(t *testing.T) {
	s := ledBy3(t)
	c := s.client(1)
	s.do(c, create("/a"))
	for i := range 20 {
		c.ask(wire.Request{Op: wire.Op{Code: wire.OpMulti}, Ops: []wire.Op{{Code: wire.OpSetData, Path: "/a", Version: -1}, create(fmt.Sprintf("/m%d", i))}})
		s.w.RunFor(time.Duration(i) * 500 * time.Microsecond)
		if c.conn != nil {
			c.lose()
		}
		s.connect(c, kernel.ServerID(1+(i+1)%3))
		s.do(c, wire.Op{Code: wire.OpSetData, Path: "/a", Version: -1})
	}
	s.finish()
}

// S-114: a server that stands still for longer than its peers wait is left behind, and comes back.
func TestS114SilentServers(t *testing.T) {
	for _, id := range []kernel.ServerID{1, 3} {
		s := ledBy3(t)
		s.write(s.client(2), 2)
		s.w.Server(id).Pause(5 * time.Second)
		s.w.RunFor(4 * time.Second)
		s.until("the others serve", func() bool { return s.w.Server(2).Serving() })
		s.write(s.client(2), 2)
		s.serves(1, 2, 3)
		s.finish()
	}
}

// S-115: the leader is lost while a session is made, at any moment of that. The client comes back as whoever it is by then, through another server; nobody gets a session that is not there, and one that was made for nobody expires.
func TestS115LeaderLostWhileSessionsAreMade(t *testing.T) {
	made, lost := 0, 0
	for after := time.Duration(0); after <= 12*time.Millisecond; after += 400 * time.Microsecond {
		s := tellWith(t, sim.Options{Seed: uint64(after) + 1, Voters: 3})
		s.start(1, 2, 3)
		s.leads(3)
		s.serves(1, 2, 3)
		c := &client{run: s.run, id: 1, silent: true}
		c.dialTo(1)
		s.w.RunFor(after)
		s.kill(3)
		if c.conn != nil && !c.connected {
			c.lose()
		}
		if c.session != 0 {
			made++
		} else {
			lost++
		}
		s.until("1 and 2 serve", func() bool { return s.w.Server(1).Serving() && s.w.Server(2).Serving() })
		if c.conn == nil {
			s.connect(c, 2)
		}
		s.do(c, create("/mine"))
		s.start(3)
		s.serves(1, 2, 3)
		s.expire()
		s.finish()
		s.w.Close()
	}
	if made == 0 || lost == 0 {
		t.Errorf("%d sessions were made before the leader was lost, and %d were not", made, lost)
	}
}

// Held writes: a client of a follower stays connected while the leader changes, and its writes happen once.
func TestWritesAreHeldThroughAnElection(t *testing.T) {
	s := ledBy3(t)
	c := s.client(1)
	s.write(c, 1)
	s.kill(3)
	s.w.RunFor(time.Millisecond)
	var asked []*op
	for i := range 3 {
		asked = append(asked, c.ask(wire.Request{Op: create(fmt.Sprintf("/held%d", i))}))
	}
	s.until("they are answered", func() bool { return asked[2].outcome != underWay })
	for _, o := range asked {
		if o.outcome != answered || o.code != 0 {
			t.Errorf("%s: outcome %d, error %d", o.request.Path, o.outcome, o.code)
		}
	}
	s.finish()
}
