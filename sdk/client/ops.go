package client

import (
	"context"
	"errors"
	"strings"

	"github.com/zooid-project/zooid/sdk/wire"
)

// AnyVersion as a version argument means that the current version does not matter.
const AnyVersion int32 = -1

// Get returns a node's data and stat. Data is nil if the node holds null, which is not the same as empty. The slice is the caller's.
func (c *Client) Get(ctx context.Context, path string) ([]byte, wire.Stat, error) {
	return c.get(ctx, path, nil)
}

// GetW is Get with a one-shot watch: it yields the one next change of the node (data changed or deleted).
func (c *Client) GetW(ctx context.Context, path string) ([]byte, wire.Stat, *Watch, error) {
	w := c.newWatch(path, watchData)
	data, stat, err := c.get(ctx, path, w)
	if err != nil {
		return nil, stat, nil, err
	}
	return data, stat, w, nil
}

func (c *Client) get(ctx context.Context, path string, w *Watch) ([]byte, wire.Stat, error) {
	cl, err := c.do(ctx, &wire.Request{Op: wire.Op{Code: wire.OpGetData, Path: path, Watch: w != nil}}, w)
	if err != nil {
		return nil, wire.Stat{}, err
	}
	data, stat := cl.resp.Data, cl.resp.Stat
	cl.free()
	return data, stat, nil
}

// Exists reports whether a node exists, and its stat if so.
func (c *Client) Exists(ctx context.Context, path string) (bool, wire.Stat, error) {
	return c.exists(ctx, path, nil)
}

// ExistsW is Exists with a one-shot watch: it yields the one next change of the node (created, data changed or deleted).
func (c *Client) ExistsW(ctx context.Context, path string) (bool, wire.Stat, *Watch, error) {
	w := c.newWatch(path, watchExist)
	found, stat, err := c.exists(ctx, path, w)
	if err != nil {
		return false, stat, nil, err
	}
	return found, stat, w, nil
}

func (c *Client) exists(ctx context.Context, path string, w *Watch) (bool, wire.Stat, error) {
	stat, err := c.stat(ctx, &wire.Request{Op: wire.Op{Code: wire.OpExists, Path: path, Watch: w != nil}}, w)
	if errors.Is(err, wire.ErrNoNode) {
		return false, wire.Stat{}, nil
	}
	return err == nil, stat, err
}

// stat runs a request whose reply is a stat.
func (c *Client) stat(ctx context.Context, req *wire.Request, w *Watch) (wire.Stat, error) {
	cl, err := c.do(ctx, req, w)
	if err != nil {
		return wire.Stat{}, err
	}
	stat := cl.resp.Stat
	cl.free()
	return stat, nil
}

// Children returns the names of a node's children, in no particular order, and the node's stat.
func (c *Client) Children(ctx context.Context, path string) ([]string, wire.Stat, error) {
	return c.children(ctx, path, nil)
}

// ChildrenW is Children with a one-shot watch: it yields the next child created or deleted, or the node's own deletion.
func (c *Client) ChildrenW(ctx context.Context, path string) ([]string, wire.Stat, *Watch, error) {
	w := c.newWatch(path, watchChild)
	names, stat, err := c.children(ctx, path, w)
	if err != nil {
		return nil, stat, nil, err
	}
	return names, stat, w, nil
}

func (c *Client) children(ctx context.Context, path string, w *Watch) ([]string, wire.Stat, error) {
	cl, err := c.do(ctx, &wire.Request{Op: wire.Op{Code: wire.OpGetChildren2, Path: path, Watch: w != nil}}, w)
	if err != nil {
		return nil, wire.Stat{}, err
	}
	names, stat := cl.resp.Children, cl.resp.Stat
	cl.free()
	return names, stat, nil
}

// Set replaces a node's data if version is the current one or AnyVersion (else wire.ErrBadVersion), and returns the new stat. A nil data stores null. data may be changed after the call.
func (c *Client) Set(ctx context.Context, path string, data []byte, version int32) (wire.Stat, error) {
	return c.stat(ctx, &wire.Request{Op: SetOp(path, data, version)}, nil)
}

// Delete removes a node that has no children, if version is the current one or AnyVersion.
func (c *Client) Delete(ctx context.Context, path string, version int32) error {
	return c.header(ctx, &wire.Request{Op: DeleteOp(path, version)})
}

// header runs a request whose reply is a header alone.
func (c *Client) header(ctx context.Context, req *wire.Request) error {
	cl, err := c.do(ctx, req, nil)
	if err == nil {
		cl.free()
	}
	return err
}

// GetACL returns a node's ACL and stat.
func (c *Client) GetACL(ctx context.Context, path string) ([]wire.ACL, wire.Stat, error) {
	cl, err := c.do(ctx, &wire.Request{Op: wire.Op{Code: wire.OpGetACL, Path: path}}, nil)
	if err != nil {
		return nil, wire.Stat{}, err
	}
	list, stat := cl.resp.ACL, cl.resp.Stat
	cl.free()
	return list, stat, nil
}

// SetACL replaces a node's ACL if version is the current one of the ACL (Stat.Aversion) or AnyVersion.
func (c *Client) SetACL(ctx context.Context, path string, list []wire.ACL, version int32) (wire.Stat, error) {
	return c.stat(ctx, &wire.Request{Op: wire.Op{Code: wire.OpSetACL, Path: path, ACL: list, Version: version}}, nil)
}

// Sync makes reads after it see at least everything that was committed before it, by whomever.
func (c *Client) Sync(ctx context.Context, path string) error {
	return c.header(ctx, &wire.Request{Op: wire.Op{Code: wire.OpSync, Path: path}})
}

// Ephemerals returns the paths of this session's ephemeral nodes that start with prefix, as a string; "" or "/" mean all (below the chroot).
func (c *Client) Ephemerals(ctx context.Context, prefix string) ([]string, error) {
	cl, err := c.do(ctx, &wire.Request{Op: wire.Op{Code: wire.OpGetEphemerals, Path: ephemeralsPrefix(prefix)}}, nil)
	if err != nil {
		return nil, err
	}
	all := cl.resp.Children
	cl.free()
	paths := all[:0]
	for _, p := range all {
		if c.chroot == "" || p == c.chroot || strings.HasPrefix(p, c.chroot+"/") { // the server compares strings, not components
			paths = append(paths, c.strip(p))
		}
	}
	return paths, nil
}

func ephemeralsPrefix(p string) string {
	if p == "" {
		return "/"
	}
	return p
}

// CountDescendants returns how many nodes there are below a path, at all depths.
func (c *Client) CountDescendants(ctx context.Context, path string) (int, error) {
	cl, err := c.do(ctx, &wire.Request{Op: wire.Op{Code: wire.OpGetAllChildrenNumber, Path: path}}, nil)
	if err != nil {
		return 0, err
	}
	n := int(cl.resp.Count)
	cl.free()
	return n, nil
}

// WhoAmI returns the identities that the server has for this connection.
func (c *Client) WhoAmI(ctx context.Context) ([]wire.ClientInfo, error) {
	cl, err := c.do(ctx, &wire.Request{Op: wire.Op{Code: wire.OpWhoAmI}}, nil)
	if err != nil {
		return nil, err
	}
	list := cl.resp.Clients
	cl.free()
	return list, nil
}

// AddAuth adds credentials, to this connection and to every later one. A refusal is final for the client, as the server closes the connection: wire.ErrAuthFailed, state AuthFailed.
func (c *Client) AddAuth(ctx context.Context, scheme string, data []byte) error {
	a := Auth{Scheme: scheme, Data: append([]byte{}, data...)}
	done := make(chan error, 1)
	c.mu.Lock()
	if c.final != nil {
		defer c.mu.Unlock()
		return c.final
	}
	c.auths = append(c.auths, a)
	var err error
	if c.conn == nil {
		done <- nil // sent with the next connection
	} else {
		err = c.enqueueAuth(c.conn, a, func(r Reply) { done <- r.Err })
	}
	c.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case err = <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if errors.Is(err, wire.ErrConnectionLoss) {
		return nil // sent again with the next connection
	}
	if err != nil {
		return &Error{Op: wire.OpAuth, Path: scheme, Err: err, Sent: true}
	}
	return nil
}

// enqueueAuth queues credentials. Callers hold c.mu.
func (c *Client) enqueueAuth(cn *conn, a Auth, back func(Reply)) error {
	if back == nil {
		back = discardReply
	}
	_, err := c.enqueue(cn, &wire.Request{Op: wire.Op{Code: wire.OpAuth}, Scheme: a.Scheme, Auth: a.Data}, back, nil)
	return err
}

// Config returns the ensemble's configuration, the data of /zookeeper/config whatever the chroot.
func (c *Client) Config(ctx context.Context) ([]byte, wire.Stat, error) {
	return c.configReply(c.doRaw(ctx, &wire.Request{Op: wire.Op{Code: wire.OpGetData, Path: wire.ConfigPath}}))
}

// Reconfig changes the ensemble: either joining and leaving, or members alone, as server lines and ids separated by commas; "" is absent. fromConfig is the version of the configuration it is based
// on (hexadecimal in its text), -1 for any. It returns the new configuration.
func (c *Client) Reconfig(ctx context.Context, joining, leaving, members string, fromConfig int64) ([]byte, wire.Stat, error) {
	return c.configReply(c.doRaw(ctx, &wire.Request{Op: wire.Op{Code: wire.OpReconfig}, Joining: joining, Leaving: leaving, NewMembers: members, ConfigID: fromConfig}))
}

func (c *Client) configReply(cl *call, err error) ([]byte, wire.Stat, error) {
	if err != nil {
		return nil, wire.Stat{}, err
	}
	data, stat := cl.resp.Data, cl.resp.Stat
	cl.free()
	return data, stat, nil
}

// doRaw is one try of do with a path outside the chroot.
func (c *Client) doRaw(ctx context.Context, req *wire.Request) (*call, error) {
	for {
		cl, sent, err := c.try(ctx, req, nil)
		if err == nil {
			return cl, nil
		}
		if !c.repeat(req.Code, err, sent) {
			return nil, &Error{Op: req.Code, Path: req.Path, Err: err, Sent: sent}
		}
	}
}
