package wire

import (
	"strconv"
	"strings"
)

// Perms is a set of permission bits (spec client-protocol, 5.3). Unknown bits are stored as given.
type Perms int32

// Permissions. Create and delete are about children of the node; the others about the node itself.
const (
	PermRead   Perms = 1
	PermWrite  Perms = 2
	PermCreate Perms = 4
	PermDelete Perms = 8
	PermAdmin  Perms = 16
	PermAll    Perms = 31
)

// String returns the letters that command lines use, in the order c d r w a.
func (p Perms) String() string {
	var b strings.Builder
	for _, l := range []struct {
		bit    Perms
		letter byte
	}{{PermCreate, 'c'}, {PermDelete, 'd'}, {PermRead, 'r'}, {PermWrite, 'w'}, {PermAdmin, 'a'}} {
		if p&l.bit != 0 {
			b.WriteByte(l.letter)
		}
	}
	return b.String()
}

// CreateMode is the flags field of a create: an enumeration, not a bit set (spec client-protocol, 5.3). A value outside 0...6 is refused with BADARGUMENTS.
type CreateMode int32

// The create modes.
const (
	Persistent              CreateMode = 0
	Ephemeral               CreateMode = 1
	PersistentSequential    CreateMode = 2
	EphemeralSequential     CreateMode = 3
	Container               CreateMode = 4
	PersistentTTL           CreateMode = 5
	PersistentSequentialTTL CreateMode = 6
)

// Valid reports whether m is one of the modes.
func (m CreateMode) Valid() bool { return m >= Persistent && m <= PersistentSequentialTTL }

// IsEphemeral reports whether the node goes with its session.
func (m CreateMode) IsEphemeral() bool { return m == Ephemeral || m == EphemeralSequential }

// IsSequential reports whether the server appends a ten-digit suffix to the name.
func (m CreateMode) IsSequential() bool {
	return m == PersistentSequential || m == EphemeralSequential || m == PersistentSequentialTTL
}

// IsTTL reports whether the node carries a time to live.
func (m CreateMode) IsTTL() bool { return m == PersistentTTL || m == PersistentSequentialTTL }

// String returns the mode's name.
func (m CreateMode) String() string {
	names := [...]string{"persistent", "ephemeral", "persistent sequential", "ephemeral sequential", "container", "persistent with TTL", "persistent sequential with TTL"}
	if m.Valid() {
		return names[m]
	}
	return "mode " + strconv.Itoa(int(m))
}

// EventType is the type field of a watch event (spec client-protocol, 5.2). A server sends only the four EventNode types; the rest are made by clients.
type EventType int32

// The event types.
const (
	EventNone                   EventType = -1
	EventNodeCreated            EventType = 1
	EventNodeDeleted            EventType = 2
	EventNodeDataChanged        EventType = 3
	EventNodeChildrenChanged    EventType = 4
	EventDataWatchRemoved       EventType = 5
	EventChildWatchRemoved      EventType = 6
	EventPersistentWatchRemoved EventType = 7
)

// String returns the name used in ZooKeeper's documentation.
func (e EventType) String() string {
	switch e {
	case EventNone:
		return "None"
	case EventNodeCreated:
		return "NodeCreated"
	case EventNodeDeleted:
		return "NodeDeleted"
	case EventNodeDataChanged:
		return "NodeDataChanged"
	case EventNodeChildrenChanged:
		return "NodeChildrenChanged"
	case EventDataWatchRemoved:
		return "DataWatchRemoved"
	case EventChildWatchRemoved:
		return "ChildWatchRemoved"
	case EventPersistentWatchRemoved:
		return "PersistentWatchRemoved"
	}
	return "event " + strconv.Itoa(int(e))
}

// KeeperState is the state field of a watch event. From a server it is always StateSyncConnected.
type KeeperState int32

// The states.
const (
	StateUnknown           KeeperState = -1
	StateDisconnected      KeeperState = 0
	StateNoSyncConnected   KeeperState = 1
	StateSyncConnected     KeeperState = 3
	StateAuthFailed        KeeperState = 4
	StateConnectedReadOnly KeeperState = 5
	StateSASLAuthenticated KeeperState = 6
	StateClosed            KeeperState = 7
	StateExpired           KeeperState = -112
)

// WatcherType says what checkWatches and removeWatches look for (spec client-protocol, 7.7).
type WatcherType int32

// The watcher types.
const (
	WatcherChildren            WatcherType = 1
	WatcherData                WatcherType = 2
	WatcherAny                 WatcherType = 3
	WatcherPersistent          WatcherType = 4
	WatcherPersistentRecursive WatcherType = 5
)

// Valid reports whether t is one of the types; others are answered MARSHALLINGERROR.
func (t WatcherType) Valid() bool { return t >= WatcherChildren && t <= WatcherPersistentRecursive }

// AddWatchMode is the mode of addWatch (spec client-protocol, 5.2).
type AddWatchMode int32

// The addWatch modes.
const (
	AddWatchPersistent          AddWatchMode = 0
	AddWatchPersistentRecursive AddWatchMode = 1
)

// Valid reports whether m is one of the modes; others are answered MARSHALLINGERROR.
func (m AddWatchMode) Valid() bool {
	return m == AddWatchPersistent || m == AddWatchPersistentRecursive
}
