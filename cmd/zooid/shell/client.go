package shell

import (
	"context"

	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/wire"
)

// Client is what commands need of a session. *client.Client has most of it; see NewClient.
type Client interface {
	AddAuth(ctx context.Context, scheme string, data []byte) error
	Children(ctx context.Context, path string) ([]string, wire.Stat, error)
	ChildrenW(ctx context.Context, path string) ([]string, wire.Stat, Watch, error)
	Close(ctx context.Context) error
	Config(ctx context.Context) ([]byte, wire.Stat, error)
	CountDescendants(ctx context.Context, path string) (int, error)
	Create(ctx context.Context, path string, data []byte, o client.CreateOptions) (string, error)
	Delete(ctx context.Context, path string, version int32) error
	DeleteAll(ctx context.Context, path string) error
	Ephemerals(ctx context.Context, prefix string) ([]string, error)
	Exists(ctx context.Context, path string) (bool, wire.Stat, error)
	ExistsW(ctx context.Context, path string) (bool, wire.Stat, Watch, error)
	Get(ctx context.Context, path string) ([]byte, wire.Stat, error)
	GetACL(ctx context.Context, path string) ([]wire.ACL, wire.Stat, error)
	GetW(ctx context.Context, path string) ([]byte, wire.Stat, Watch, error)
	Reconfig(ctx context.Context, joining, leaving, members string, fromConfig int64) ([]byte, wire.Stat, error)
	Set(ctx context.Context, path string, data []byte, version int32) (wire.Stat, error)
	SetACL(ctx context.Context, path string, list []wire.ACL, version int32) (wire.Stat, error)
	State() client.StateChange
	Sync(ctx context.Context, path string) error
	Watch(ctx context.Context, path string, mode wire.AddWatchMode) (Watch, error)
	WhoAmI(ctx context.Context) ([]wire.ClientInfo, error)
}

// Watch is a *client.Watch.
type Watch interface {
	Next(ctx context.Context) (client.Event, error)
	Close(ctx context.Context) error
}

// NewClient makes a Client of c, which it owns from then on.
func NewClient(c *client.Client) Client { return session{c} }

type session struct{ *client.Client }

func (s session) ChildrenW(ctx context.Context, path string) ([]string, wire.Stat, Watch, error) {
	children, stat, w, err := s.Client.ChildrenW(ctx, path)
	return children, stat, w, err
}

func (s session) ExistsW(ctx context.Context, path string) (bool, wire.Stat, Watch, error) {
	found, stat, w, err := s.Client.ExistsW(ctx, path)
	return found, stat, w, err
}

func (s session) GetW(ctx context.Context, path string) ([]byte, wire.Stat, Watch, error) {
	data, stat, w, err := s.Client.GetW(ctx, path)
	return data, stat, w, err
}

func (s session) Watch(ctx context.Context, path string, mode wire.AddWatchMode) (Watch, error) {
	w, err := s.Client.Watch(ctx, path, mode)
	return w, err
}
