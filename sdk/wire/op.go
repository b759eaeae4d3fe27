package wire

import "strconv"

// OpCode is the type of a request, of a transaction and of an operation inside a multi (spec client-protocol, 4.1).
type OpCode int32

// The operations. OpError and OpCreateSession never come from a client; OpNotification is never a request.
const (
	OpNotification         OpCode = 0
	OpCreate               OpCode = 1
	OpDelete               OpCode = 2
	OpExists               OpCode = 3
	OpGetData              OpCode = 4
	OpSetData              OpCode = 5
	OpGetACL               OpCode = 6
	OpSetACL               OpCode = 7
	OpGetChildren          OpCode = 8
	OpSync                 OpCode = 9
	OpPing                 OpCode = 11
	OpGetChildren2         OpCode = 12
	OpCheck                OpCode = 13
	OpMulti                OpCode = 14
	OpCreate2              OpCode = 15
	OpReconfig             OpCode = 16
	OpCheckWatches         OpCode = 17
	OpRemoveWatches        OpCode = 18
	OpCreateContainer      OpCode = 19
	OpDeleteContainer      OpCode = 20
	OpCreateTTL            OpCode = 21
	OpMultiRead            OpCode = 22
	OpAuth                 OpCode = 100
	OpSetWatches           OpCode = 101
	OpSASL                 OpCode = 102
	OpGetEphemerals        OpCode = 103
	OpGetAllChildrenNumber OpCode = 104
	OpSetWatches2          OpCode = 105
	OpAddWatch             OpCode = 106
	OpWhoAmI               OpCode = 107
	OpCreateSession        OpCode = -10
	OpCloseSession         OpCode = -11
	OpError                OpCode = -1

	// Zooid's own operations for administrators (identity super). Other servers answer UNIMPLEMENTED.
	OpListSessions OpCode = 1001
	OpEndSession   OpCode = 1002
)

// opNames: name, and the four letters that the "cons" command shows as lop (spec server-surface, 2).
var opNames = map[OpCode][2]string{
	OpNotification:         {"notification", "NA"},
	OpCreate:               {"create", "CREA"},
	OpDelete:               {"delete", "DELE"},
	OpExists:               {"exists", "EXIS"},
	OpGetData:              {"getData", "GETD"},
	OpSetData:              {"setData", "SETD"},
	OpGetACL:               {"getACL", "GETA"},
	OpSetACL:               {"setACL", "SETA"},
	OpGetChildren:          {"getChildren", "GETC"},
	OpSync:                 {"sync", "SYNC"},
	OpPing:                 {"ping", "PING"},
	OpGetChildren2:         {"getChildren2", "GETC"},
	OpCheck:                {"check", "CHEC"},
	OpMulti:                {"multi", "MULT"},
	OpCreate2:              {"create2", "CREA"},
	OpReconfig:             {"reconfig", "RECO"},
	OpCheckWatches:         {"checkWatches", "CHKW"},
	OpRemoveWatches:        {"removeWatches", "REMW"},
	OpCreateContainer:      {"createContainer", "CREA"},
	OpDeleteContainer:      {"deleteContainer", "DELE"},
	OpCreateTTL:            {"createTTL", "CREA"},
	OpMultiRead:            {"multiRead", "MLTR"},
	OpAuth:                 {"auth", "NA"},
	OpSetWatches:           {"setWatches", "SETW"},
	OpSASL:                 {"sasl", "NA"},
	OpGetEphemerals:        {"getEphemerals", "GETE"},
	OpGetAllChildrenNumber: {"getAllChildrenNumber", "GETACN"},
	OpSetWatches2:          {"setWatches2", "STW2"},
	OpAddWatch:             {"addWatch", "ADDW"},
	OpWhoAmI:               {"whoAmI", "HOMI"},
	OpCreateSession:        {"createSession", "SESS"},
	OpCloseSession:         {"closeSession", "CLOS"},
	OpError:                {"error", "NA"},
	OpListSessions:         {"listSessions", "NA"},
	OpEndSession:           {"endSession", "NA"},
}

// String returns the operation's name, "op N" for a number that has none.
func (o OpCode) String() string {
	if n, ok := opNames[o]; ok {
		return n[0]
	}
	return "op " + strconv.Itoa(int(o))
}

// LastOpName returns the short name that operators see as lop in the list of connections, "NA" where there is none.
func (o OpCode) LastOpName() string {
	if n, ok := opNames[o]; ok {
		return n[1]
	}
	return "NA"
}

// Known reports whether o is an operation that a client may send outside a multi. Everything else is answered UNIMPLEMENTED.
func (o OpCode) Known() bool {
	switch o {
	case OpNotification, OpCheck, OpDeleteContainer, OpCreateSession, OpError:
		return false
	}
	_, ok := opNames[o]
	return ok
}

// IsWrite reports whether o is replicated: proposed by the leader and written to the log. Sync is not; it goes to the leader but leaves no transaction.
func (o OpCode) IsWrite() bool {
	switch o {
	case OpCreate, OpCreate2, OpCreateContainer, OpCreateTTL, OpDelete, OpDeleteContainer, OpSetData, OpSetACL, OpMulti, OpReconfig, OpCreateSession, OpCloseSession:
		return true
	}
	return false
}

// IsCreate reports whether o creates a node.
func (o OpCode) IsCreate() bool {
	return o == OpCreate || o == OpCreate2 || o == OpCreateContainer || o == OpCreateTTL
}
