package sim

import (
	"slices"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// counted are the numbers from first on.
func counted(first, count int) []int32 {
	out := make([]int32, count)
	for i := range out {
		out[i] = int32(first + i)
	}
	return out
}

// A link delivers everything in order, whatever the delay, and not before a message can have arrived.
func TestDelay(t *testing.T) {
	for _, limit := range []time.Duration{usualDelay, 500 * time.Millisecond} {
		st := newStage(t, 1, 2)
		st.MaxDelay(limit)
		near, far := st.link(1, 2, kernel.ForBroadcast)
		var slowest time.Duration
		for round := range 40 {
			began := st.now
			st.send(1, near, 10*round, 10)
			st.until("all have arrived", func() bool { types, _ := st.got(2, far); return len(types) == 10*round+10 })
			_, at := st.got(2, far)
			slowest = max(slowest, at-began)
		}
		if types, _ := st.got(2, far); !slices.Equal(types, counted(0, 400)) {
			t.Errorf("not in order: %v", types)
		}
		if slowest > limit+time.Millisecond || slowest < limit*2/3 {
			t.Errorf("with a delay of %v at most the slowest took %v", limit, slowest)
		}
		st.whole()
	}
}

// Messages on one link keep their order; between two links there is none.
func TestReorderingIsBetweenLinks(t *testing.T) {
	overtaken := 0
	for seed := uint64(1); seed <= 20; seed++ {
		st := newStage(t, seed, 3)
		st.MaxDelay(100 * time.Millisecond)
		a, farA := st.link(1, 2, kernel.ForBroadcast)
		b, farB := st.link(1, 2, kernel.ForBroadcast)
		st.send(1, a, 0, 5)
		st.send(1, b, 100, 5)
		both := func() (x, y []int32) {
			x, _ = st.got(2, farA)
			y, _ = st.got(2, farB)
			return x, y
		}
		st.until("all have arrived", func() bool { x, y := both(); return len(x)+len(y) == 10 })
		if x, y := both(); !slices.Equal(x, counted(0, 5)) || !slices.Equal(y, counted(100, 5)) {
			t.Fatalf("inside a link: %v, %v", x, y)
		}
		if _, first := st.got(2, farA); first > st.firstAt(2, farB) {
			overtaken++
		}
		st.whole()
	}
	if overtaken == 0 {
		t.Error("no message was ever overtaken by one that was sent later on another link")
	}
}

// firstAt is when the first message came on a link.
func (st *stage) firstAt(id kernel.ServerID, link kernel.LinkID) time.Duration {
	for _, h := range st.puppets[id].told {
		if m, ok := h.in.(kernel.Received); ok && m.Link == link {
			return h.at
		}
	}
	return never
}

// A partition lets nothing pass, one way or both; what waited arrives when it ends soon enough.
func TestPartition(t *testing.T) {
	for name, oneWay := range map[string]bool{"one way": true, "both ways": false} {
		t.Run(name, func(t *testing.T) {
			st := newStage(t, 1, 2)
			near, far := st.link(1, 2, kernel.ForBroadcast)
			if oneWay {
				st.Block(1, 2)
			} else {
				st.Partition(1)
			}
			st.send(1, near, 0, 3)
			st.send(2, far, 50, 3)
			st.RunFor(2 * time.Second)
			if types, _ := st.got(2, far); len(types) != 0 {
				t.Errorf("%v has passed from 1 to 2", types)
			}
			if types, _ := st.got(1, near); oneWay != (len(types) == 3) {
				t.Errorf("from 2 to 1: %v", types)
			}
			st.Heal()
			st.until("all has arrived", func() bool {
				x, _ := st.got(2, far)
				y, _ := st.got(1, near)
				return len(x) == 3 && len(y) == 3
			})
			st.whole()
		})
	}
}

// What cannot pass for too long costs the link, at both ends, and what was on the way is lost.
func TestPartitionBreaksLinks(t *testing.T) {
	st := newStage(t, 1, 2)
	near, far := st.link(1, 2, kernel.ForBroadcast)
	st.Partition(1)
	st.send(1, near, 0, 3)
	st.RunFor(stuckLimit - 100*time.Millisecond)
	if st.down(1, near) {
		t.Error("the link is down too early")
	}
	st.RunFor(200 * time.Millisecond)
	if !st.down(1, near) {
		t.Error("the sender's end is up")
	}
	st.Heal()
	st.RunFor(2 * stuckLimit)
	if types, _ := st.got(2, far); len(types) != 0 || !st.down(2, far) {
		t.Errorf("the other end is down: %v, and has got %v", st.down(2, far), types)
	}
	again, farAgain := st.link(1, 2, kernel.ForBroadcast)
	st.send(1, again, 7, 1)
	st.until("the next link works", func() bool { types, _ := st.got(2, farAgain); return len(types) == 1 })
	st.whole()
}

// A reset loses what was on the way from some point on, never something in the middle.
func TestResetLosesAnEnd(t *testing.T) {
	lost, whole := 0, 0
	for seed := uint64(1); seed <= 30; seed++ {
		st := newStage(t, seed, 2)
		near, far := st.link(1, 2, kernel.ForBroadcast)
		st.send(1, near, 0, 10)
		st.RunFor(time.Duration(seed) * 50 * time.Microsecond)
		st.send(1, near, 10, 10)
		st.ResetSome()
		st.RunFor(time.Second)
		types, _ := st.got(2, far)
		if !slices.Equal(types, counted(0, len(types))) {
			t.Fatalf("seed %d: there is a hole: %v", seed, types)
		}
		if !st.down(1, near) || !st.down(2, far) {
			t.Fatalf("seed %d: an end has heard nothing", seed)
		}
		if len(types) < 20 {
			lost++
		} else {
			whole++
		}
		st.whole()
	}
	if lost == 0 {
		t.Error("nothing was ever lost")
	}
}

// A process that stands still takes nothing; what was sent to it arrives when it goes on.
func TestPause(t *testing.T) {
	st := newStage(t, 1, 2)
	near, far := st.link(1, 2, kernel.ForBroadcast)
	st.Server(2).Pause(3 * time.Second)
	told := len(st.puppets[2].told)
	began := st.now
	st.send(1, near, 0, 3)
	st.RunFor(2900 * time.Millisecond)
	if n := len(st.puppets[2].told); n != told {
		t.Errorf("it was told of %d things", n-told)
	}
	st.until("it goes on", func() bool { types, _ := st.got(2, far); return len(types) == 3 })
	if _, at := st.got(2, far); at-began < 3*time.Second {
		t.Errorf("it went on after %v", at-began)
	}
	st.whole()
}

// Whoever is killed resets its connections; whoever loses power leaves its peers in the dark until they send something to the server that has come up since.
func TestKilledAndWithoutPower(t *testing.T) {
	for name, silent := range map[string]bool{"killed": false, "without power": true} {
		t.Run(name, func(t *testing.T) {
			st := newStage(t, 1, 2)
			near, _ := st.link(1, 2, kernel.ForBroadcast)
			if silent {
				st.Server(2).PowerOff()
			} else {
				st.Server(2).Kill()
			}
			st.RunFor(time.Second)
			if st.down(1, near) == silent {
				t.Errorf("after a second it was told: %v", !silent)
			}
			st.StartAll()
			st.RunFor(time.Second)
			st.send(1, near, 0, 1)
			st.RunFor(time.Second)
			if !st.down(1, near) {
				t.Error("the link goes on with another process")
			}
			st.whole()
		})
	}
}

// Between two servers there is one connection for elections: the larger id dials, a newer one takes the place of an older one.
func TestElectionLinks(t *testing.T) {
	st := newStage(t, 1, 2)
	knock := st.Server(1).transport.Dial(2, kernel.ForElection)
	st.until("it comes back", func() bool { return st.down(1, knock) })
	near, far := st.link(2, 1, kernel.ForElection)
	again, farAgain := st.link(2, 1, kernel.ForElection)
	st.until("the older one is gone", func() bool { return st.down(2, near) && st.down(1, far) })
	st.send(2, again, 0, 1)
	st.until("the newer one works", func() bool { types, _ := st.got(1, farAgain); return len(types) == 1 })
	st.whole()
}
