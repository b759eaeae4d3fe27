package simulate

import (
	"math"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/zooid-project/zooid/sdk/wire"
)

// Linearizability of writes and of reads behind a sync, register by register, by a checker that knows nothing of zxids: only what was asked when, and what was answered when (FIELD, 2.6, rules 1 and 2). An operation
// without an answer may take effect at any time after it was asked, or never.

// linearLimit bounds the search: histories with many operations without an answer can take for ever. The other checks do not give up.
const linearLimit = 2 * time.Second

// registerState is what a register holds.
type registerState struct {
	exists  bool
	version int32
	data    string
}

// registerOp is one operation on one register, and its answer.
type registerOp struct {
	op      wire.Op
	outcome outcome
	code    wire.ErrorCode
	read    registerState
}

var registerModel = porcupine.Model{
	Init: func() any { return registerState{} },
	Step: func(state, input, _ any) (bool, any) {
		s, o := state.(registerState), input.(registerOp)
		after, code := s.take(&o.op)
		switch {
		case o.outcome == unknown:
			return true, after
		case code != o.code:
			return false, s
		case o.op.Code == wire.OpGetData && code == 0:
			return s == o.read, s
		}
		return true, after
	},
	Equal: func(a, b any) bool { return a == b },
}

// take does one operation by the rules of spec client-semantics.
func (s registerState) take(o *wire.Op) (registerState, wire.ErrorCode) {
	if o.Code == wire.OpCreate2 {
		if s.exists {
			return s, wire.ErrNodeExists
		}
		return registerState{exists: true, data: string(o.Data)}, 0
	}
	if !s.exists {
		return s, wire.ErrNoNode
	}
	if o.Code != wire.OpGetData && o.Version != -1 && o.Version != s.version {
		return s, wire.ErrBadVersion
	}
	switch o.Code {
	case wire.OpSetData:
		return registerState{exists: true, version: s.version + 1, data: string(o.Data)}, 0
	case wire.OpDelete:
		return registerState{}, 0
	}
	return s, 0
}

// checkLinear checks every register's history.
func (r *run) checkLinear() {
	for i := range registers {
		path := register(i)
		var history []porcupine.Operation
		for _, o := range r.ops {
			history = o.on(path, history)
		}
		switch porcupine.CheckOperationsTimeout(registerModel, history, linearLimit) {
		case porcupine.Illegal:
			r.fail("the history of %s is not linearizable: %d operations (I19, I20)", path, len(history))
			return
		case porcupine.Unknown:
			r.tally("histories too hard")
		default:
			r.tally("linearizable histories")
		}
	}
}

// on adds what an operation did to a register.
func (o *op) on(path string, history []porcupine.Operation) []porcupine.Operation {
	add := func(x registerOp) {
		end := int64(o.done)
		if o.outcome != answered {
			end = math.MaxInt64
		}
		history = append(history, porcupine.Operation{ClientId: o.client.id, Input: x, Call: int64(o.called), Return: end})
	}
	if o.outcome == answered && o.code == wire.ErrSystemError {
		return history // refused: nothing was done
	}
	switch o.request.Code {
	case wire.OpGetData:
		if o.synced && o.outcome == answered && o.request.Path == path {
			add(registerOp{op: o.request.Op, outcome: o.outcome, code: o.code, read: o.read})
		}
	case wire.OpSetData, wire.OpCreate2, wire.OpDelete:
		if o.request.Path == path {
			add(registerOp{op: o.request.Op, outcome: o.outcome, code: o.code})
		}
	case wire.OpMulti:
		if o.outcome == answered && o.code != 0 {
			return history // all or nothing
		}
		for i := range o.request.Ops {
			if part := o.request.Ops[i]; part.Path == path {
				x := registerOp{op: part, outcome: o.outcome}
				add(x)
			}
		}
	}
	return history
}

// note keeps what a read has returned.
func (o *op) note(code wire.ErrorCode, body []byte) {
	var answer wire.Response
	if code == 0 && wire.DecodeResponse(o.request.Code, body, &answer) == nil {
		o.read = registerState{exists: true, version: answer.Stat.Version, data: string(answer.Data)}
	}
}
