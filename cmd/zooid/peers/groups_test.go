package peers

import (
	"testing"
	"time"
)

// TestGroups: with several groups a majority of the groups decides, each won by a majority of its weight. One group may be gone as a whole; where two have lost their majorities nobody leads, however
// many servers are left; a server without weight makes no difference and never leads.
func TestGroups(t *testing.T) {
	beside(t)
	zooids := []kind{zooid, zooid, zooid, zooid, zooid, zooid, zooid, zooid, zooid}
	mixed := []kind{zooid, zooid, apache38, zooid, zooid, zooid, zooid, zooid, zooid}
	for _, kinds := range [][]kind{zooids, mixed} {
		name := "zooid"
		if kinds[2] != zooid {
			name = "zooid-and-apache3.8"
		}
		t.Run(name, func(t *testing.T) {
			e := newEnsemble(t, kinds, "group.1=1:2:3", "group.2=4:5:6", "group.3=7:8:9", "weight.7=2", "weight.8=0", "weight.9=0")
			e.startAll()
			e.expectLeader(7) // of those with weight the highest
			before := e.fill("before")

			killAll(e.member(4), e.member(5), e.member(6))
			e.waitServing()
			e.write(e.connect(e.member(1)), "/without-a-group", 20, 100)
			before.checkSessions(t)

			// Server 7 alone has all the weight of its group: with it goes the second group, and five that are left decide nothing.
			e.member(7).kill()
			eventually(t, "nobody leads without majorities in two groups: "+e.status(), func() bool { return e.leader() == nil })
			e.staysWithoutLeader()

			// Two of three of another group are enough; a weightless third of it is not missed.
			e.member(4).start(t)
			e.staysWithoutLeader()
			e.member(5).start(t)
			e.waitServing()
			leader := e.waitLeader()
			killAll(e.member(8), e.member(9)) // they count for nothing
			e.waitServing()
			e.expectLeader(leader.id)
			before.checkSessions(t)
			e.member(3).kill()
			e.waitServing()
			e.write(e.connect(e.member(1)), "/bare", 20, 100) // two of each of two groups

			// One less, and it is over, though four of nine would be back with those without weight.
			e.member(2).kill()
			eventually(t, "nobody leads without majorities in two groups: "+e.status(), func() bool { return e.leader() == nil })
			for _, id := range []int{8, 9} {
				e.member(id).start(t)
			}
			e.staysWithoutLeader()

			for _, id := range []int{2, 3, 6, 7} {
				e.member(id).start(t)
			}
			e.waitServing()
			before.checkSessions(t)
			before.end(t)
			e.compareTrees()
		})
	}
}

// staysWithoutLeader looks for a leader for longer than servers that may elect one take for it.
func (e *ensemble) staysWithoutLeader() {
	e.t.Helper()
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if m := e.leader(); m != nil {
			e.t.Fatalf("%s leads: %s", m, e.status())
		}
	}
}
