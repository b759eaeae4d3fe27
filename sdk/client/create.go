package client

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/zooid-project/zooid/sdk/wire"
)

// CreateOptions configure a create. The zero value makes a persistent node with the default ACL.
type CreateOptions struct {
	Mode wire.CreateMode
	ACL  []wire.ACL    // nil: Options.DefaultACL
	TTL  time.Duration // for the modes with TTL; at least 1 ms
	// Parents makes missing parents, the chroot included, as persistent nodes without data.
	Parents bool
	// Protected makes the create happen exactly once although the connection may be lost: the name gets the prefix "_c_<random>-", by which the client finds its node again instead of making a
	// second one. It is Curator's convention, works with every server, and sorts by suffix only: recipes compare the ten digits at the end.
	Protected bool
}

// Create makes a node and returns its path, which differs from the one given in sequential modes and with Protected. A nil data stores null.
func (c *Client) Create(ctx context.Context, path string, data []byte, o CreateOptions) (string, error) {
	created, _, err := c.CreateStat(ctx, path, data, o)
	return created, err
}

// CreateStat is Create and also returns the new node's stat (servers since 3.5).
func (c *Client) CreateStat(ctx context.Context, path string, data []byte, o CreateOptions) (string, wire.Stat, error) {
	if o.ACL == nil {
		o.ACL = c.opts.DefaultACL
	}
	prefix := ""
	if o.Protected {
		var id [16]byte
		_, _ = rand.Read(id[:]) // never fails
		id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
		h := hex.EncodeToString(id[:])
		prefix = fmt.Sprintf("_c_%s-%s-%s-%s-%s-", h[:8], h[8:12], h[12:16], h[16:20], h[20:])
		i := strings.LastIndexByte(path, '/')
		path = path[:i+1] + prefix + path[i+1:]
	}
	madeParents := 0
	for {
		created, stat, err := c.create(ctx, path, data, o)
		switch {
		case err == nil:
			return created, stat, nil
		case o.Parents && madeParents < 10 && errors.Is(err, wire.ErrNoNode):
			madeParents++ // again if somebody deletes them meanwhile, but not for ever
			if err := c.createParents(ctx, path, o.ACL); err != nil {
				return "", stat, err
			}
		case o.Protected && ctx.Err() == nil && errors.Is(err, wire.ErrConnectionLoss):
			created, stat, found, err := c.findProtected(ctx, path, prefix, o)
			if found || err != nil {
				return created, stat, err
			}
		default:
			return "", stat, err
		}
	}
}

func (c *Client) create(ctx context.Context, path string, data []byte, o CreateOptions) (string, wire.Stat, error) {
	op := CreateOp(path, data, o.Mode, o.ACL)
	if o.Mode.IsTTL() {
		op.Code, op.TTL = wire.OpCreateTTL, o.TTL.Milliseconds()
	}
	cl, err := c.do(ctx, &wire.Request{Op: op}, nil)
	if err != nil {
		return "", wire.Stat{}, err
	}
	created, stat := c.strip(cl.resp.Path), cl.resp.Stat
	cl.free()
	return created, stat, nil
}

// createParents makes the missing ancestors of path, with full paths so that a missing chroot is made too. From the bottom up: who may not create below the root may still create here.
func (c *Client) createParents(ctx context.Context, path string, acl []wire.ACL) error {
	return c.ensure(ctx, wire.ParentPath(c.full(path)), acl)
}

func (c *Client) ensure(ctx context.Context, full string, acl []wire.ACL) error {
	if full == "" {
		return nil
	}
	for {
		cl, err := c.doRaw(ctx, &wire.Request{Op: CreateOp(full, []byte{}, wire.Persistent, acl)})
		switch {
		case err == nil:
			cl.free()
			return nil
		case errors.Is(err, wire.ErrNodeExists):
			return nil
		case errors.Is(err, wire.ErrConnectionLoss) && ctx.Err() == nil: // making it twice is no harm
		case errors.Is(err, wire.ErrNoNode):
			if err := c.ensure(ctx, wire.ParentPath(full), acl); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

// findProtected looks for the node of a protected create whose reply was lost. The sync before the listing waits for the create if it is still on its way: whatever an old connection sent reaches the
// leader before the session's move does, or is refused.
func (c *Client) findProtected(ctx context.Context, path, prefix string, o CreateOptions) (string, wire.Stat, bool, error) {
	parent := path[:strings.LastIndexByte(path, '/')]
	if parent == "" {
		parent = "/"
	}
	if err := c.Sync(ctx, parent); err != nil {
		return "", wire.Stat{}, false, err
	}
	names, _, err := c.Children(ctx, parent)
	if errors.Is(err, wire.ErrNoNode) {
		return "", wire.Stat{}, false, nil
	}
	if err != nil {
		return "", wire.Stat{}, false, err
	}
	for _, name := range names {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		found := strings.TrimSuffix(parent, "/") + "/" + name
		exists, stat, err := c.Exists(ctx, found)
		if err != nil || !exists {
			return "", stat, false, err
		}
		if o.Mode.IsEphemeral() && stat.EphemeralOwner != c.SessionID() { // it goes with the session that made it
			return "", stat, false, &Error{Op: wire.OpCreate, Path: path, Err: wire.ErrSessionExpired, Sent: true}
		}
		return found, stat, true, nil
	}
	return "", wire.Stat{}, false, nil
}
