package simulate

import (
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/wire"
)

// A leader whose disk stands still, while it is alive to everybody, hands over to a server whose disk works; when its own does again it follows.
func TestLeaderWithStalledDiskHandsOver(t *testing.T) {
	s := ledBy3(t)
	s.write(s.client(2), 3)
	s.w.Server(3).Slow(15 * time.Second)
	c := s.client(1)
	c.ask(wire.Request{Op: create("/while")}) // there is something to be written
	stalled := s.w.Now()
	s.until("another leads", func() bool {
		return s.w.Server(1).Leading() || s.w.Server(2).Leading()
	})
	if took := s.w.Now() - stalled; took > 2*time.Second {
		t.Errorf("the others had a leader after %s of a stalled disk", took)
	}
	s.write(s.client(1), 5)
	s.w.Server(3).Slow(0)
	s.serves(1, 2, 3)
	s.finish()
}
