package zooidtest_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/client/zooidtest"
	"github.com/zooid-project/zooid/sdk/wire"
)

// spanMaker turns stage events of several servers into one OpenTelemetry span per server, stage and traced request. Client frames have no room for a trace context: it gives one to a request where
// it is decoded, by its session. From there on the request carries it, to another server too. A batch knows zxids; which request a zxid belongs to is learnt from prepare.
type spanMaker struct {
	recorder *tracetest.SpanRecorder
	provider *sdktrace.TracerProvider

	mu     sync.Mutex
	traced kernel.SessionID  // whose sets are traced
	parent trace.SpanContext // of that client
	byZxid map[kernel.Zxid]kernel.TraceContext
}

func newSpans() *spanMaker {
	s := &spanMaker{recorder: tracetest.NewSpanRecorder(), byZxid: map[kernel.Zxid]kernel.TraceContext{}}
	s.provider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(s.recorder))
	return s
}

func tracerName(server kernel.ServerID) string { return fmt.Sprint("server ", server) }

func (s *spanMaker) hook(server kernel.ServerID) kernel.StageHook {
	return func(e kernel.StageEvent) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for i, r := range e.Requests {
			if e.Stage == kernel.StageDecode && r.Session == s.traced && r.Op == int32(wire.OpSetData) {
				r.Trace = kernel.TraceContext{TraceID: s.parent.TraceID(), SpanID: s.parent.SpanID(), Sampled: true}
			}
			if e.Stage == kernel.StagePrepare && r.Trace.Valid() {
				s.byZxid[e.First+kernel.Zxid(i)] = r.Trace
			}
		}
		if len(e.Requests) > 0 {
			for _, r := range e.Requests {
				s.span(server, e, r.Trace)
			}
			return
		}
		for zxid, t := range s.byZxid {
			if zxid >= e.First && zxid <= e.Last {
				s.span(server, e, t)
			}
		}
	}
}

func (s *spanMaker) span(server kernel.ServerID, e kernel.StageEvent, t kernel.TraceContext) {
	if !t.Sampled {
		return
	}
	parent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: t.TraceID, SpanID: t.SpanID, TraceFlags: trace.FlagsSampled, Remote: true})
	_, span := s.provider.Tracer(tracerName(server)).Start(trace.ContextWithRemoteSpanContext(context.Background(), parent), e.Stage.String(), trace.WithTimestamp(e.Start))
	span.End(trace.WithTimestamp(e.Start.Add(e.Duration)))
}

// TestOneSetIsASpanTree follows one set from a client over its socket through a server: the client's span is the parent of one span for every stage, in the order of the stages.
func TestOneSetIsASpanTree(t *testing.T) {
	spans := newSpans()
	s := zooidtest.Start(t, zooidtest.OnDisk(""), zooidtest.Observed(spans.hook(1)))
	spans.followOneSet(t, s)
	spans.expect(t, 1, "decode route prepare propose append sync ack commit apply reply")
}

// In an ensemble it goes from a follower to the leader and back.
func TestOneSetIsASpanTreeOverServers(t *testing.T) {
	spans := newSpans()
	e := zooidtest.StartEnsemble(t, 3, 0, append([]zooidtest.Option{
		zooidtest.OnDisk(""), zooidtest.On(1, zooidtest.Observed(spans.hook(1))), zooidtest.On(2, zooidtest.Observed(spans.hook(2))), zooidtest.On(3, zooidtest.Observed(spans.hook(3))),
	}, quick...)...)
	leader, followers := e.Leader(), e.Followers()
	spans.followOneSet(t, followers[0])
	for i, s := range e.Servers {
		want := "append sync ack commit apply"
		switch s {
		case leader:
			want = "prepare propose " + want
		case followers[0]:
			want = "decode route " + want + " reply"
		}
		spans.expect(t, kernel.ServerID(i+1), want)
	}
}

// followOneSet has a client set a node in a span of its own, before and after sets that nobody traces.
func (s *spanMaker) followOneSet(t *testing.T, through *zooidtest.Server) {
	t.Helper()
	traced, untraced := dial(t, through, client.Options{}), dial(t, through, client.Options{})
	set(t, untraced, "/a", "created")
	_, span := s.provider.Tracer("client").Start(context.Background(), "set")
	s.mu.Lock()
	s.traced, s.parent = kernel.SessionID(traced.SessionID()), span.SpanContext()
	s.mu.Unlock()
	set(t, traced, "/a", "traced")
	span.End()
	set(t, untraced, "/a", "not traced")
}

// expect waits for the spans of one server and looks at their names, order, parent and length.
func (s *spanMaker) expect(t *testing.T, server kernel.ServerID, want string) {
	t.Helper()
	var spans []sdktrace.ReadOnlySpan
	eventually(t, fmt.Sprintf("server %d has the spans %s", server, want), func() bool {
		spans = slices.DeleteFunc(s.recorder.Ended(), func(span sdktrace.ReadOnlySpan) bool { return span.InstrumentationScope().Name != tracerName(server) })
		return len(spans) >= len(strings.Fields(want))
	})
	slices.SortStableFunc(spans, func(a, b sdktrace.ReadOnlySpan) int { return a.StartTime().Compare(b.StartTime()) })
	var names []string
	for _, span := range spans {
		names = append(names, span.Name())
		if span.Parent().SpanID() != s.parent.SpanID() || span.SpanContext().TraceID() != s.parent.TraceID() {
			t.Errorf("server %d: span %s hangs elsewhere", server, span.Name())
		}
		if took := span.EndTime().Sub(span.StartTime()); took < 0 || took > patience {
			t.Errorf("server %d: span %s lasts %v", server, span.Name(), took)
		}
	}
	if got := strings.Join(names, " "); got != want {
		t.Errorf("server %d: spans %s, want %s", server, got, want)
	}
}
