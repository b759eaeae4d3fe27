package shell

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/wire"
)

// messages are what the command line of ZooKeeper says; the uneven blanks before colons are part of the format (spec server-surface, 5.1).
var messages = map[wire.ErrorCode]string{
	wire.ErrNoNode:                  "Node does not exist: ",
	wire.ErrNodeExists:              "Node already exists: ",
	wire.ErrNotEmpty:                "Node not empty: ",
	wire.ErrBadVersion:              "version No is not valid : ",
	wire.ErrNoAuth:                  "Insufficient permission : ",
	wire.ErrNoChildrenForEphemerals: "Ephemerals cannot have children: ",
	wire.ErrNotReadOnly:             "Not a read-only call: ",
	wire.ErrInvalidACL:              "Acl is not valid : ",
	wire.ErrBadArguments:            "Arguments are not valid : ",
	wire.ErrQuotaExceeded:           "Quota has exceeded : ",
}

// keeperNames are the names behind "KeeperErrorCode = " of codes without a message of their own.
var keeperNames = map[wire.ErrorCode]string{
	wire.ErrConnectionLoss:               "ConnectionLoss",
	wire.ErrMarshallingError:             "MarshallingError",
	wire.ErrUnimplemented:                "Unimplemented",
	wire.ErrOperationTimeout:             "OperationTimeout",
	wire.ErrSessionExpired:               "Session expired",
	wire.ErrAuthFailed:                   "AuthFailed",
	wire.ErrSystemError:                  "SystemError",
	wire.ErrNoWatcher:                    "No such watcher",
	wire.ErrReconfigDisabled:             "Reconfig is disabled",
	wire.ErrReconfigInProgress:           "Reconfig in progress",
	wire.ErrNewConfigNoQuorum:            "No quorum of new config is connected",
	wire.ErrThrottledOp:                  "Op throttled due to high load",
	wire.ErrEphemeralOnLocalSession:      "EphemeralOnLocalSession",
	wire.ErrSessionClosedRequireSASLAuth: "Session closed because client failed to authenticate",
}

// message is an error as one line.
func message(err error, path string) string {
	var code wire.ErrorCode
	if !errors.As(err, &code) {
		return err.Error()
	}
	if text, ok := messages[code]; ok {
		return text + path
	}
	name, ok := keeperNames[code]
	if !ok {
		name = code.Name()
	}
	return "KeeperErrorCode = " + name + " for " + path
}

func date(ms int64) string { return time.UnixMilli(ms).Format("Mon Jan 02 15:04:05 MST 2006") }

// printStat prints the eleven lines.
func (sh *Shell) printStat(s *wire.Stat) {
	sh.print("cZxid = 0x%x\nctime = %s\nmZxid = 0x%x\nmtime = %s\npZxid = 0x%x\ncversion = %d\ndataVersion = %d\naclVersion = %d\nephemeralOwner = 0x%x\ndataLength = %d\nnumChildren = %d",
		s.Czxid, date(s.Ctime), s.Mzxid, date(s.Mtime), s.Pzxid, s.Cversion, s.Version, s.Aversion, uint64(s.EphemeralOwner), s.DataLength, s.NumChildren)
}

// statObject is a stat as JSON. Times are milliseconds since 1970, zxids and owners decimal.
type statObject struct {
	Czxid          int64 `json:"cZxid"`
	Ctime          int64 `json:"ctime"`
	Mzxid          int64 `json:"mZxid"`
	Mtime          int64 `json:"mtime"`
	Pzxid          int64 `json:"pZxid"`
	Cversion       int32 `json:"cversion"`
	Version        int32 `json:"dataVersion"`
	Aversion       int32 `json:"aclVersion"`
	EphemeralOwner int64 `json:"ephemeralOwner"`
	DataLength     int32 `json:"dataLength"`
	NumChildren    int32 `json:"numChildren"`
}

func statOf(s *wire.Stat) *statObject {
	return &statObject{s.Czxid, s.Ctime, s.Mzxid, s.Mtime, s.Pzxid, s.Cversion, s.Version, s.Aversion, s.EphemeralOwner, s.DataLength, s.NumChildren}
}

// nodeObject is a node's data as JSON: text if it is text, else base64; neither for null.
type nodeObject struct {
	Path   string      `json:"path"`
	Data   *string     `json:"data,omitempty"`
	Base64 *string     `json:"data_base64,omitempty"`
	Stat   *statObject `json:"stat,omitempty"`
}

func nodeOf(path string, data []byte, stat *wire.Stat) nodeObject {
	n := nodeObject{Path: path, Stat: statOf(stat)}
	if data == nil {
		return n
	}
	text := string(data)
	if utf8.Valid(data) {
		n.Data = &text
	} else {
		encoded := base64.StdEncoding.EncodeToString(data)
		n.Base64 = &encoded
	}
	return n
}

func list(names []string) string { return "[" + strings.Join(names, ", ") + "]" }

// hexDump is the table of get -x: sixteen bytes a row, offset at the left, printable characters at the right.
func hexDump(data []byte) string {
	const rule = "+--------+-------------------------------------------------+----------------+"
	var b strings.Builder
	b.WriteString("         +-------------------------------------------------+\n         |  0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f |\n" + rule)
	for at := 0; at < len(data); at += 16 {
		row := data[at:min(at+16, len(data))]
		fmt.Fprintf(&b, "\n|%08x|%-49s|", at, fmt.Sprintf(" % x", row))
		for i := range 16 {
			switch {
			case i >= len(row):
				b.WriteByte(' ')
			case row[i] < 0x20 || row[i] > 0x7e:
				b.WriteByte('.')
			default:
				b.WriteByte(row[i])
			}
		}
		b.WriteByte('|')
	}
	return b.String() + "\n" + rule
}

// ParseACL reads a comma list of scheme:id:perms. The id may contain colons; perms are letters of c d r w a in any order.
func ParseACL(text string) ([]wire.ACL, error) {
	var out []wire.ACL
	for _, entry := range strings.Split(text, ",") {
		entry = strings.TrimSpace(entry)
		first, last := strings.IndexByte(entry, ':'), strings.LastIndexByte(entry, ':')
		if first < 0 || first == last {
			return nil, &usageError{entry + " does not have the form scheme:id:perms"}
		}
		acl := wire.ACL{ID: wire.ID{Scheme: entry[:first], ID: entry[first+1 : last]}}
		for _, letter := range entry[last+1:] {
			bit, ok := map[rune]wire.Perms{'c': wire.PermCreate, 'd': wire.PermDelete, 'r': wire.PermRead, 'w': wire.PermWrite, 'a': wire.PermAdmin}[letter]
			if !ok {
				return nil, &usageError{fmt.Sprintf("no permission is called %c; there are c, d, r, w and a", letter)}
			}
			acl.Perms |= bit
		}
		out = append(out, acl)
	}
	return out, nil
}

// printEvent prints a watch event as ZooKeeper's command line does. Its path is null for an event without one.
func (sh *Shell) printEvent(state string, e client.Event, eventType, path string) {
	if sh.JSON {
		_ = sh.object(struct {
			Event string `json:"event"`
			State string `json:"state"`
			Path  string `json:"path,omitempty"`
			Zxid  int64  `json:"zxid"`
		}{eventType, state, path, e.Zxid})
		return
	}
	if path == "" {
		path = "null"
	}
	sh.print("\nWATCHER::\n\nWatchedEvent state:%s type:%s path:%s zxid: %d", state, eventType, path, e.Zxid)
}
