package kernel_test

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/zooid-project/zooid/kernel"
)

// spanMaker turns stage events into one OpenTelemetry span per stage and traced request. A batch knows zxids; which request a zxid belongs to it learns from prepare.
type spanMaker struct {
	mu     sync.Mutex
	tracer trace.Tracer
	byZxid map[kernel.Zxid]kernel.TraceContext
}

func (s *spanMaker) hook(e kernel.StageEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case e.Stage == kernel.StagePrepare:
		for i, r := range e.Requests {
			if r.Trace.Valid() {
				s.byZxid[e.First+kernel.Zxid(i)] = r.Trace
			}
		}
		fallthrough
	case e.First == 0 && e.Last == 0:
		for _, r := range e.Requests {
			s.span(e, r.Trace)
		}
	default:
		for zxid, t := range s.byZxid {
			if zxid >= e.First && zxid <= e.Last {
				s.span(e, t)
			}
		}
	}
}

func (s *spanMaker) span(e kernel.StageEvent, t kernel.TraceContext) {
	if !t.Sampled {
		return
	}
	parent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: t.TraceID, SpanID: t.SpanID, TraceFlags: trace.FlagsSampled, Remote: true})
	_, span := s.tracer.Start(trace.ContextWithRemoteSpanContext(context.Background(), parent), e.Stage.String(), trace.WithTimestamp(e.Start))
	span.End(trace.WithTimestamp(e.Start.Add(e.Duration)))
}

// TestOneSetIsASpanTree follows one traced write through the node: the client's span is the parent of one span per stage, in the order of the stages.
func TestOneSetIsASpanTree(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	defer func() { _ = provider.Shutdown(context.Background()) }()
	spans := &spanMaker{tracer: provider.Tracer("zooid"), byZxid: map[kernel.Zxid]kernel.TraceContext{}}
	c := newCaller()
	n := startNode(t, &sumMachine{}, &sliceLog{}, func(cfg *kernel.NodeConfig) { cfg.Hook = spans.hook })

	_, set := provider.Tracer("client").Start(context.Background(), "set")
	req := add(c, 42)
	req.Trace = kernel.TraceContext{TraceID: set.SpanContext().TraceID(), SpanID: set.SpanContext().SpanID(), Sampled: true}
	if err := n.Submit(req); err != nil {
		t.Fatal(err)
	}
	if err := n.Submit(add(c, 1)); err != nil { // not traced: no span
		t.Fatal(err)
	}
	c.next(t)
	c.next(t)
	set.End()
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}

	ended := recorder.Ended()
	sort.SliceStable(ended, func(i, j int) bool { return ended[i].StartTime().Before(ended[j].StartTime()) })
	var tree []string
	for _, s := range ended {
		if s.Name() == "set" {
			continue
		}
		if s.Parent().SpanID() != set.SpanContext().SpanID() || s.SpanContext().TraceID() != set.SpanContext().TraceID() {
			t.Errorf("span %s hangs elsewhere", s.Name())
		}
		if s.EndTime().Before(s.StartTime()) || s.EndTime().Sub(s.StartTime()) > time.Minute {
			t.Errorf("span %s lasts %v", s.Name(), s.EndTime().Sub(s.StartTime()))
		}
		tree = append(tree, s.Name())
	}
	want := "[route prepare propose append sync ack commit apply]"
	if got := fmt.Sprint(tree); got != want {
		t.Errorf("spans %s, want %s", got, want)
	}
	if strings.Count(fmt.Sprint(tree), "apply") != 1 {
		t.Error("the untraced write has spans")
	}
}
