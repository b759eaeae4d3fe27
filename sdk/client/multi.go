package client

import (
	"context"

	"github.com/zooid-project/zooid/sdk/wire"
)

// CreateOp is a create for Multi. A nil acl means Options.DefaultACL.
func CreateOp(path string, data []byte, mode wire.CreateMode, acl []wire.ACL) wire.Op {
	code := wire.OpCreate2
	if mode == wire.Container {
		code = wire.OpCreateContainer
	}
	return wire.Op{Code: code, Path: path, Data: data, Mode: mode, ACL: acl}
}

// SetOp is a set for Multi.
func SetOp(path string, data []byte, version int32) wire.Op {
	return wire.Op{Code: wire.OpSetData, Path: path, Data: data, Version: version}
}

// DeleteOp is a delete for Multi.
func DeleteOp(path string, version int32) wire.Op {
	return wire.Op{Code: wire.OpDelete, Path: path, Version: version}
}

// CheckOp makes a Multi fail unless the node exists and has this version (AnyVersion: unless it exists).
func CheckOp(path string, version int32) wire.Op {
	return wire.Op{Code: wire.OpCheck, Path: path, Version: version}
}

// GetOp is a read of data for MultiRead.
func GetOp(path string) wire.Op { return wire.Op{Code: wire.OpGetData, Path: path} }

// ChildrenOp is a listing for MultiRead.
func ChildrenOp(path string) wire.Op { return wire.Op{Code: wire.OpGetChildren, Path: path} }

// Multi applies all operations as one transaction, or none. Results come in the order of ops; those of plain creates have no Stat. If one operation fails, errors.As finds a *MultiError, which names
// it.
func (c *Client) Multi(ctx context.Context, ops ...wire.Op) ([]wire.Result, error) {
	list := make([]wire.Op, len(ops))
	copy(list, ops)
	for i := range list {
		if list[i].Code.IsCreate() && list[i].ACL == nil {
			list[i].ACL = c.opts.DefaultACL
		}
		if list[i].Code == wire.OpCreate2 {
			list[i].Code = wire.OpCreate // the kind that all versions of ZooKeeper know inside a multi (ZOOKEEPER-4026)
		}
	}
	results, err := c.multi(ctx, wire.OpMulti, list)
	if err != nil {
		return nil, err
	}
	for i := range results {
		if e := results[i].Err; e != wire.ErrOK && e != wire.ErrRuntimeInconsistency && i < len(ops) {
			return nil, &Error{Op: wire.OpMulti, Err: &MultiError{Index: i, Op: ops[i], Code: e, Results: results}, Sent: true}
		}
	}
	return results, nil
}

// MultiRead runs GetOp and ChildrenOp operations on one state of the tree. Each succeeds or fails for itself: see Result.Err.
func (c *Client) MultiRead(ctx context.Context, ops ...wire.Op) ([]wire.Result, error) {
	return c.multi(ctx, wire.OpMultiRead, ops)
}

func (c *Client) multi(ctx context.Context, code wire.OpCode, ops []wire.Op) ([]wire.Result, error) {
	cl, err := c.do(ctx, &wire.Request{Op: wire.Op{Code: code}, Ops: ops}, nil)
	if err != nil {
		return nil, err
	}
	results := cl.resp.Results
	cl.free()
	for i := range results {
		if results[i].Path != "" {
			results[i].Path = c.strip(results[i].Path)
		}
	}
	return results, nil
}

// fullOps returns ops with full paths, in a slice of its own if there is anything to change.
func (c *Client) fullOps(ops []wire.Op) []wire.Op {
	if len(ops) == 0 || c.chroot == "" {
		return ops
	}
	list := make([]wire.Op, len(ops))
	for i, op := range ops {
		op.Path = c.full(op.Path)
		list[i] = op
	}
	return list
}
