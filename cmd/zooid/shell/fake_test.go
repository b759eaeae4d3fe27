package shell

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/wire"
)

// fakeClient is a tree in a map: enough of a server to see what commands do with answers.
type fakeClient struct {
	mu      sync.Mutex
	nodes   map[string]*fakeNode
	zxid    int64
	watches []*fakeWatch
	auth    []wire.ClientInfo
	closed  bool
	session int64
	fail    error // the answer to everything
}

type fakeNode struct {
	data []byte
	acl  []wire.ACL
	stat wire.Stat
	mode wire.CreateMode
}

func newFake() *fakeClient {
	return &fakeClient{nodes: map[string]*fakeNode{"/": {acl: wire.OpenACL}, "/zookeeper": {}, "/zookeeper/quota": {},
		"/zookeeper/config": {data: []byte("server.1=h:1:2:participant;0.0.0.0:2181\nserver.2=i:1:2:observer;[::1]:2182\nversion=1a")}}}
}

func parentOf(path string) string {
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		return path[:i]
	}
	return "/"
}

func (f *fakeClient) children(path string) []string {
	var out []string
	for p := range f.nodes {
		if p != "/" && parentOf(p) == path {
			out = append(out, p[strings.LastIndexByte(p, '/')+1:])
		}
	}
	slices.Sort(out)
	slices.Reverse(out) // servers promise no order
	return out
}

// node is called with mu held.
func (f *fakeClient) node(path string) (*fakeNode, error) {
	if f.fail != nil {
		return nil, f.fail
	}
	n, ok := f.nodes[path]
	if !ok {
		return nil, wire.ErrNoNode
	}
	n.stat.NumChildren, n.stat.DataLength = int32(len(f.children(path))), int32(len(n.data))
	return n, nil
}

func (f *fakeClient) Create(_ context.Context, path string, data []byte, o client.CreateOptions) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return "", f.fail
	}
	if o.Mode.IsSequential() {
		path += "0000000007"
	}
	if _, ok := f.nodes[path]; ok {
		return "", wire.ErrNodeExists
	}
	for parent := parentOf(path); ; parent = parentOf(parent) {
		if _, ok := f.nodes[parent]; ok {
			break
		}
		if !o.Parents {
			return "", wire.ErrNoNode
		}
		f.nodes[parent] = &fakeNode{acl: wire.OpenACL}
	}
	acl := o.ACL
	if acl == nil {
		acl = wire.OpenACL
	}
	f.zxid++
	f.nodes[path] = &fakeNode{data: data, acl: acl, mode: o.Mode, stat: wire.Stat{Czxid: f.zxid, Mzxid: f.zxid, Pzxid: f.zxid}}
	return path, nil
}

func (f *fakeClient) Get(_ context.Context, path string) ([]byte, wire.Stat, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.node(path)
	if err != nil {
		return nil, wire.Stat{}, err
	}
	return n.data, n.stat, nil
}

func (f *fakeClient) Set(_ context.Context, path string, data []byte, version int32) (wire.Stat, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.node(path)
	if err != nil {
		return wire.Stat{}, err
	}
	if version != -1 && version != n.stat.Version {
		return wire.Stat{}, wire.ErrBadVersion
	}
	f.zxid++
	n.data, n.stat.Mzxid, n.stat.Version, n.stat.DataLength = data, f.zxid, n.stat.Version+1, int32(len(data))
	for _, w := range f.watches {
		if w.path == path {
			w.events <- client.Event{Type: wire.EventNodeDataChanged, Path: path, Zxid: f.zxid}
		}
	}
	return n.stat, nil
}

func (f *fakeClient) Delete(_ context.Context, path string, version int32) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.node(path)
	if err != nil {
		return err
	}
	if n.stat.NumChildren > 0 {
		return wire.ErrNotEmpty
	}
	if version != -1 && version != n.stat.Version {
		return wire.ErrBadVersion
	}
	delete(f.nodes, path)
	return nil
}

func (f *fakeClient) DeleteAll(_ context.Context, path string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p := range f.nodes {
		if p == path || strings.HasPrefix(p, path+"/") {
			delete(f.nodes, p)
		}
	}
	return nil
}

func (f *fakeClient) Exists(_ context.Context, path string) (bool, wire.Stat, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.node(path)
	if err == wire.ErrNoNode {
		return false, wire.Stat{}, nil
	} else if err != nil {
		return false, wire.Stat{}, err
	}
	return true, n.stat, nil
}

func (f *fakeClient) Children(_ context.Context, path string) ([]string, wire.Stat, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.node(path)
	if err != nil {
		return nil, wire.Stat{}, err
	}
	return f.children(path), n.stat, nil
}

func (f *fakeClient) GetACL(_ context.Context, path string) ([]wire.ACL, wire.Stat, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.node(path)
	if err != nil {
		return nil, wire.Stat{}, err
	}
	return n.acl, n.stat, nil
}

func (f *fakeClient) SetACL(_ context.Context, path string, list []wire.ACL, version int32) (wire.Stat, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.node(path)
	if err != nil {
		return wire.Stat{}, err
	}
	if version != -1 && version != n.stat.Aversion {
		return wire.Stat{}, wire.ErrBadVersion
	}
	n.acl = list
	n.stat.Aversion++
	return n.stat, nil
}

func (f *fakeClient) CountDescendants(_ context.Context, path string) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for p := range f.nodes {
		if strings.HasPrefix(p, path+"/") {
			n++
		}
	}
	return n, nil
}

func (f *fakeClient) Ephemerals(_ context.Context, prefix string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for p, n := range f.nodes {
		if n.mode.IsEphemeral() && strings.HasPrefix(p, prefix) {
			out = append(out, p)
		}
	}
	slices.Sort(out)
	return out, nil
}

// fakeWatch hands out the events of one path.
type fakeWatch struct {
	path   string
	events chan client.Event
	closed chan struct{}
	once   sync.Once
}

func (w *fakeWatch) Next(ctx context.Context) (client.Event, error) {
	select {
	case e := <-w.events:
		return e, nil
	case <-w.closed:
		return client.Event{}, client.ErrWatchClosed
	case <-ctx.Done():
		return client.Event{}, ctx.Err()
	}
}

func (w *fakeWatch) Close(context.Context) error { w.once.Do(func() { close(w.closed) }); return nil }

func (f *fakeClient) watch(path string) *fakeWatch {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := &fakeWatch{path: path, events: make(chan client.Event, 100), closed: make(chan struct{})}
	f.watches = append(f.watches, w)
	return w
}

func (f *fakeClient) Watch(_ context.Context, path string, _ wire.AddWatchMode) (Watch, error) {
	return f.watch(path), nil
}

func (f *fakeClient) GetW(ctx context.Context, path string) ([]byte, wire.Stat, Watch, error) {
	data, stat, err := f.Get(ctx, path)
	return data, stat, f.watch(path), err
}

func (f *fakeClient) ChildrenW(ctx context.Context, path string) ([]string, wire.Stat, Watch, error) {
	names, stat, err := f.Children(ctx, path)
	return names, stat, f.watch(path), err
}

func (f *fakeClient) ExistsW(ctx context.Context, path string) (bool, wire.Stat, Watch, error) {
	found, stat, err := f.Exists(ctx, path)
	return found, stat, f.watch(path), err
}

func (f *fakeClient) AddAuth(_ context.Context, scheme string, data []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return f.fail
	}
	f.auth = append(f.auth, wire.ClientInfo{Scheme: scheme, User: strings.Split(string(data), ":")[0]})
	return nil
}

func (f *fakeClient) WhoAmI(context.Context) ([]wire.ClientInfo, error) {
	return append([]wire.ClientInfo{{Scheme: "ip", User: "127.0.0.1"}}, f.auth...), nil
}

func (f *fakeClient) Config(ctx context.Context) ([]byte, wire.Stat, error) {
	return f.Get(ctx, wire.ConfigPath)
}

func (f *fakeClient) Reconfig(_ context.Context, joining, leaving, members string, from int64) ([]byte, wire.Stat, error) {
	if from != -1 && from != 0x1a {
		return nil, wire.Stat{}, wire.ErrBadVersion
	}
	return []byte("joining " + joining + " leaving " + leaving + " members " + members), wire.Stat{}, nil
}

func (f *fakeClient) Sync(context.Context, string) error { return f.fail }

func (f *fakeClient) State() client.StateChange {
	f.mu.Lock()
	defer f.mu.Unlock()
	return client.StateChange{State: client.Connected, SessionID: f.session}
}

func (f *fakeClient) Close(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}

func createOptions() client.CreateOptions { return client.CreateOptions{} }
