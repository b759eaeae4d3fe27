package kernel

import (
	"fmt"
	"testing"
)

// BenchmarkRoute is one write from a gateway to the node's loop, which takes whatever has queued.
func BenchmarkRoute(b *testing.B) {
	n := &Node{cfg: NodeConfig{MaxOutstanding: 1 << 20, Stages: NewStageObserver(nil)}, requests: newMailbox[*Request]()}
	n.serving.Store(true)
	const batch = 64
	reqs := make([]Request, batch)
	body := make([]byte, 128)
	b.Run(fmt.Sprintf("stage=route/batch=%d", batch), func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			req := &reqs[i%batch]
			req.Body = body
			if err := n.Submit(req); err != nil {
				b.Fatal(err)
			}
			if i%batch == batch-1 {
				n.outstanding.Add(-int64(len(n.requests.take())))
			}
		}
	})
}

// BenchmarkCommit is a batch from the loop to the apply goroutine, once a quorum has it: on the leader, and on a follower, which looks up whose request each transaction is.
func BenchmarkCommit(b *testing.B) {
	const batch = 64
	for _, role := range []Role{Leading, Following} {
		b.Run(fmt.Sprintf("stage=commit/role=%v/batch=%d", role, batch), func(b *testing.B) {
			n := &Node{cfg: NodeConfig{Stages: NewStageObserver(nil)}, apply: newMailbox[applyJob](), parts: Parts{Machine: inspecting{}}}
			l := &loopState{node: n, role: RoleChange{Role: role, Epoch: 1}, pending: pending{}}
			reqs := make([]Request, batch)
			next := MakeZxid(1, 1)
			b.ReportAllocs()
			for b.Loop() {
				for i := range reqs {
					l.unapplied = append(l.unapplied, Committed{Zxid: next + Zxid(i)})
					if reqs[i] = (Request{Session: 1, Cxid: 7}); role == Leading {
						l.unapplied[i].Request = &reqs[i]
					} else {
						l.pending.add(&reqs[i])
					}
				}
				next += batch
				l.commit(next - 1)
				for _, job := range n.apply.take() {
					if len(job.txns) != batch || job.txns[batch-1].Request != &reqs[batch-1] {
						b.Fatalf("%d transactions", len(job.txns))
					}
					n.flow.carry(-txnsSize(job.txns))
					n.txnBuffers.put(job.txns)
				}
			}
		})
	}
}

// inspecting is a machine of which nothing is asked but whose a transaction is.
type inspecting struct{ StateMachine }

func (inspecting) Inspect([]byte) (TxnInfo, error) { return TxnInfo{Session: 1, Cxid: 7}, nil }
