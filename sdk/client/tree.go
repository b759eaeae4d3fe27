package client

import (
	"context"
	"errors"

	"github.com/zooid-project/zooid/sdk/wire"
)

// Limits of DeleteAll: listings under way at a time, and deletes per multi.
const (
	walkWidth   = 64
	deleteBatch = 500
)

// DeleteAll deletes a node and everything below it. It is no transaction: nodes go in batches from the bottom up, and on error some are gone. Nodes that others create meanwhile are deleted too, up
// to a point (wire.ErrNotEmpty); a node that does not exist is no error. Of "/" everything goes but "/" itself and /zookeeper.
func (c *Client) DeleteAll(ctx context.Context, path string) error {
	var err error
	for range 10 {
		var paths []string
		if paths, err = c.walk(ctx, path); err != nil {
			return err
		}
		if err = c.deletePaths(ctx, paths); !errors.Is(err, wire.ErrNotEmpty) {
			return err
		}
	}
	return err
}

// walk lists a subtree, parents before their children, without what cannot be deleted.
func (c *Client) walk(ctx context.Context, path string) ([]string, error) {
	all := []string{path}
	for next := 0; next < len(all); {
		batch := all[next:min(len(all), next+walkWidth)]
		next += len(batch)
		type listing struct {
			names []string
			err   error
		}
		replies := make([]chan listing, len(batch))
		for i, p := range batch {
			ch := make(chan listing, 1)
			replies[i] = ch
			c.Go(&wire.Request{Op: wire.Op{Code: wire.OpGetChildren, Path: p}}, func(r Reply) {
				l := listing{err: r.Err}
				if r.Err == nil {
					l.names = r.Response.Children
				}
				ch <- l
			})
		}
		for i, p := range batch {
			var l listing
			select {
			case l = <-replies[i]:
			case <-ctx.Done():
				return nil, &Error{Op: wire.OpGetChildren, Path: p, Err: ctx.Err(), Sent: true}
			}
			if l.err != nil { // once more, with patience
				l.names, _, l.err = c.Children(ctx, p)
			}
			if errors.Is(l.err, wire.ErrNoNode) {
				continue
			} else if l.err != nil {
				return nil, l.err
			}
			base := p + "/"
			if p == "/" {
				base = "/"
			}
			for _, name := range l.names {
				if full := c.full(base + name); full != wire.ZooKeeperPath {
					all = append(all, base+name)
				}
			}
		}
	}
	if c.full(path) == "/" {
		all = all[1:]
	}
	return all, nil
}

// deletePaths deletes from the last to the first.
func (c *Client) deletePaths(ctx context.Context, paths []string) error {
	for end := len(paths); end > 0; {
		start, size := end, 0
		for start > 0 && end-start < deleteBatch && size < c.opts.MaxFrame/2 {
			start--
			size += 32 + len(c.chroot) + len(paths[start])
		}
		if err := c.deleteTogether(ctx, paths[start:end]); err != nil {
			return err
		}
		end = start
	}
	return nil
}

// deleteTogether tries one multi, and if a node of it is gone or has got children, one by one.
func (c *Client) deleteTogether(ctx context.Context, paths []string) error {
	if len(paths) > 1 {
		ops := make([]wire.Op, 0, len(paths))
		for i := len(paths) - 1; i >= 0; i-- {
			ops = append(ops, DeleteOp(paths[i], AnyVersion))
		}
		_, err := c.Multi(ctx, ops...)
		if err == nil || !(errors.Is(err, wire.ErrNoNode) || errors.Is(err, wire.ErrNotEmpty) || errors.Is(err, wire.ErrConnectionLoss)) {
			return err
		}
	}
	var notEmpty error
	for i := len(paths) - 1; i >= 0; i-- {
		err := c.Delete(ctx, paths[i], AnyVersion)
		for errors.Is(err, wire.ErrConnectionLoss) && ctx.Err() == nil { // deleting twice is no harm here
			err = c.Delete(ctx, paths[i], AnyVersion)
		}
		if errors.Is(err, wire.ErrNotEmpty) {
			notEmpty = err
		} else if err != nil && !errors.Is(err, wire.ErrNoNode) {
			return err
		}
	}
	return notEmpty
}
