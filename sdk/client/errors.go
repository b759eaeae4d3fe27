package client

import (
	"errors"
	"fmt"

	"github.com/zooid-project/zooid/sdk/wire"
)

// Errors made by the client, besides the codes of package wire (wire.ErrConnectionLoss, wire.ErrSessionExpired and wire.ErrAuthFailed are also made here).
var (
	ErrClosed          = errors.New("client: closed")
	ErrTooManyInFlight = errors.New("client: too many requests in flight (Options.MaxInFlight)")
	ErrRequestTooLarge = errors.New("client: request larger than servers accept (Options.MaxFrame, jute.maxbuffer)")
	ErrReplyTooLarge   = errors.New("client: reply larger than Options.MaxReply")
	ErrNotConnected    = errors.New("client: not connected") // by Go alone: other calls wait for a connection
)

// Error is what every operation returns when it fails. It unwraps to a wire.ErrorCode, a context's error, or one of this package's errors.
type Error struct {
	Op   wire.OpCode
	Path string // as the caller gave it, without chroot
	Err  error
	// Sent is false if the request has certainly not reached a server, so that repeating it is safe whatever it does. With Sent true and an Err that is no server's answer (connection loss, a
	// context that ended), a write may or may not have taken effect.
	Sent bool
}

func (e *Error) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("%v: %v", e.Op, e.Err)
	}
	return fmt.Sprintf("%v %s: %v", e.Op, e.Path, e.Err)
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// MultiError says which operation made a multi fail. None of its operations took effect.
type MultiError struct {
	Index   int // of the operation that failed
	Op      wire.Op
	Code    wire.ErrorCode
	Results []wire.Result // one per operation; Err is OK before Index and RUNTIMEINCONSISTENCY after it
}

func (e *MultiError) Error() string {
	return fmt.Sprintf("operation %d (%v %s): %v", e.Index, e.Op.Code, e.Op.Path, e.Code)
}

// Unwrap returns Code.
func (e *MultiError) Unwrap() error { return e.Code }
