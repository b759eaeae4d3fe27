package wire

import "fmt"

// ErrorCode is the error of a reply (spec client-protocol, 5.1). It implements error, so errors.Is(err, wire.ErrNoNode) works through any wrapping.
// ErrOK is the absence of an error; use Err to turn a code from the wire into a Go error.
type ErrorCode int32

// The codes that travel, and those that clients have always used for themselves.
const (
	ErrOK                           ErrorCode = 0
	ErrSystemError                  ErrorCode = -1
	ErrRuntimeInconsistency         ErrorCode = -2
	ErrDataInconsistency            ErrorCode = -3
	ErrConnectionLoss               ErrorCode = -4 // made by clients
	ErrMarshallingError             ErrorCode = -5
	ErrUnimplemented                ErrorCode = -6
	ErrOperationTimeout             ErrorCode = -7 // made by clients
	ErrBadArguments                 ErrorCode = -8
	ErrUnknownSession               ErrorCode = -12 // between servers
	ErrNewConfigNoQuorum            ErrorCode = -13
	ErrReconfigInProgress           ErrorCode = -14
	ErrAPIError                     ErrorCode = -100 // a boundary, never sent
	ErrNoNode                       ErrorCode = -101
	ErrNoAuth                       ErrorCode = -102
	ErrBadVersion                   ErrorCode = -103
	ErrNoChildrenForEphemerals      ErrorCode = -108
	ErrNodeExists                   ErrorCode = -110
	ErrNotEmpty                     ErrorCode = -111
	ErrSessionExpired               ErrorCode = -112
	ErrInvalidCallback              ErrorCode = -113 // made by clients
	ErrInvalidACL                   ErrorCode = -114
	ErrAuthFailed                   ErrorCode = -115
	ErrSessionMoved                 ErrorCode = -118 // in the log; clients see a closed connection
	ErrNotReadOnly                  ErrorCode = -119
	ErrEphemeralOnLocalSession      ErrorCode = -120
	ErrNoWatcher                    ErrorCode = -121
	ErrRequestTimeout               ErrorCode = -122 // made by clients
	ErrReconfigDisabled             ErrorCode = -123
	ErrSessionClosedRequireSASLAuth ErrorCode = -124
	ErrQuotaExceeded                ErrorCode = -125
	ErrThrottledOp                  ErrorCode = -127
)

var codeTexts = map[ErrorCode][2]string{
	ErrOK:                           {"OK", "no error"},
	ErrSystemError:                  {"SYSTEMERROR", "the server failed"},
	ErrRuntimeInconsistency:         {"RUNTIMEINCONSISTENCY", "not tried, because an earlier operation of the multi failed"},
	ErrDataInconsistency:            {"DATAINCONSISTENCY", "inconsistent data"},
	ErrConnectionLoss:               {"CONNECTIONLOSS", "the connection was lost; whether the operation took effect is not known"},
	ErrMarshallingError:             {"MARSHALLINGERROR", "the request could not be decoded"},
	ErrUnimplemented:                {"UNIMPLEMENTED", "the server does not offer this operation"},
	ErrOperationTimeout:             {"OPERATIONTIMEOUT", "the operation timed out"},
	ErrBadArguments:                 {"BADARGUMENTS", "invalid arguments"},
	ErrUnknownSession:               {"UNKNOWNSESSION", "unknown session"},
	ErrNewConfigNoQuorum:            {"NEWCONFIGNOQUORUM", "no quorum of the new configuration is connected and up to date"},
	ErrReconfigInProgress:           {"RECONFIGINPROGRESS", "another reconfiguration is in progress"},
	ErrAPIError:                     {"APIERROR", "API error"},
	ErrNoNode:                       {"NONODE", "no such node"},
	ErrNoAuth:                       {"NOAUTH", "not permitted by the node's ACL"},
	ErrBadVersion:                   {"BADVERSION", "the version is not the current one"},
	ErrNoChildrenForEphemerals:      {"NOCHILDRENFOREPHEMERALS", "ephemeral nodes have no children"},
	ErrNodeExists:                   {"NODEEXISTS", "the node exists already"},
	ErrNotEmpty:                     {"NOTEMPTY", "the node has children"},
	ErrSessionExpired:               {"SESSIONEXPIRED", "the session has expired"},
	ErrInvalidCallback:              {"INVALIDCALLBACK", "invalid callback"},
	ErrInvalidACL:                   {"INVALIDACL", "invalid ACL"},
	ErrAuthFailed:                   {"AUTHFAILED", "authentication failed"},
	ErrSessionMoved:                 {"SESSIONMOVED", "the session has moved to another connection"},
	ErrNotReadOnly:                  {"NOTREADONLY", "the server is in read-only mode"},
	ErrEphemeralOnLocalSession:      {"EPHEMERALONLOCALSESSION", "a local session cannot own ephemeral nodes"},
	ErrNoWatcher:                    {"NOWATCHER", "no such watch"},
	ErrRequestTimeout:               {"REQUESTTIMEOUT", "no reply in time"},
	ErrReconfigDisabled:             {"RECONFIGDISABLED", "reconfiguration is disabled (reconfigEnabled)"},
	ErrSessionClosedRequireSASLAuth: {"SESSIONCLOSEDREQUIRESASLAUTH", "the server requires authentication"},
	ErrQuotaExceeded:                {"QUOTAEXCEEDED", "a quota would be exceeded"},
	ErrThrottledOp:                  {"THROTTLEDOP", "the server was too busy to run the operation"},
}

// Name returns the code's constant name as ZooKeeper's documentation spells it, "" for an unknown code.
func (c ErrorCode) Name() string { return codeTexts[c][0] }

// Known reports whether c has a name. Some clients fail on codes they do not know: a server sends no others.
func (c ErrorCode) Known() bool { _, ok := codeTexts[c]; return ok }

// Error returns a sentence with the code's name, for example "no such node (NONODE)".
func (c ErrorCode) Error() string {
	if t, ok := codeTexts[c]; ok {
		return t[1] + " (" + t[0] + ")"
	}
	return fmt.Sprintf("error code %d", int32(c))
}

// Err returns nil for ErrOK and c otherwise.
func (c ErrorCode) Err() error {
	if c == ErrOK {
		return nil
	}
	return c
}
