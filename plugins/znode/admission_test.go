package znode

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

func TestAdmission(t *testing.T) {
	m := newDriver(t, nil).m
	now := time.Now().UnixNano()
	half := (slowest / 2).Nanoseconds() // the gap half way between slowFrom and the bound
	for _, step := range []struct {
		what     string
		pressure float64
		after    int64 // nanoseconds since the step before
		busy     bool
	}{
		{"no pressure", 0.5, 0, false},
		{"the first one under pressure", 0.85, 0, false},
		{"too soon after it", 0.85, half / 2, true},
		{"after the gap", 0.85, half, false},
		{"the clock was set back", 0.85, -time.Hour.Nanoseconds(), false},
		{"at the bound nobody comes in", 1, time.Hour.Nanoseconds(), true},
		{"pressure is gone", 0.7, 0, false},
	} {
		now += step.after
		if err := m.letIn(step.pressure, now); errors.Is(err, kernel.ErrBusy) != step.busy {
			t.Errorf("%s: %v", step.what, err)
		}
	}

	m.pressure.Store(math.Float64bits(3)) // as apply saw it last; it is over in truth
	if err := m.admit(); err != nil || math.Float64frombits(m.pressure.Load()) > slowFrom {
		t.Fatalf("the pressure was not looked at again: %v", err)
	}
}
