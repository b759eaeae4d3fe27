package shell

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/wire"
)

var writeCommands = []command{
	{name: "create", usage: "[-s] [-e] [-c] [-t ttl] path [data] [acl]", doc: "make a node", flags: "s e c", values: "t", min: 1, max: 3, run: runCreate},
	{name: "set", usage: "path data [-s] [-v version] [-b]", doc: "replace the data of a node", flags: "s b", values: "v", min: 2, max: 3, run: runSet},
	{name: "delete", usage: "[-v version] path", doc: "delete a node without children", values: "v", min: 1, max: 2, run: runDelete},
	{name: "deleteall", usage: "path [-b batch size]", doc: "delete a node and all below it", values: "b", walks: "*", min: 1, max: 1, run: runDeleteAll},
	{name: "setAcl", usage: "[-s] [-v version] [-R] path acl", doc: "replace the ACL of a node", flags: "s R", values: "v", walks: "R", min: 2, max: 2, run: runSetACL},
}

func isCode(err error, code wire.ErrorCode) bool { return errors.Is(err, code) }

// createMode turns flags into a mode; -c excludes -s and -e, -t excludes -e and -c.
func createMode(a *arguments) (wire.CreateMode, error) {
	switch s, e, c, t := a.has("s"), a.has("e"), a.has("c"), a.has("t"); {
	case c && (s || e):
		return 0, &usageError{"-c excludes -s and -e: there are no ephemeral or sequential containers"}
	case t && (e || c):
		return 0, &usageError{"-t excludes -e and -c: only persistent nodes have a time to live"}
	case t && s:
		return wire.PersistentSequentialTTL, nil
	case t:
		return wire.PersistentTTL, nil
	case c:
		return wire.Container, nil
	case e && s:
		return wire.EphemeralSequential, nil
	case e:
		return wire.Ephemeral, nil
	case s:
		return wire.PersistentSequential, nil
	}
	return wire.Persistent, nil
}

func runCreate(ctx context.Context, sh *Shell, a *arguments) error {
	path := a.arg(0)
	mode, err := createMode(a)
	if err != nil {
		return err
	}
	o := client.CreateOptions{Mode: mode}
	if path == "" || path[0] != '/' {
		return checkPath(path)
	}
	if a.has("t") {
		ms, err := strconv.ParseInt(a.value("t"), 10, 64)
		if err != nil || ms <= 0 || ms > wire.MaxTTL {
			return &usageError{fmt.Sprintf("-t %s: a time to live is 1 to %d ms", a.value("t"), wire.MaxTTL)}
		}
		o.TTL = time.Duration(ms) * time.Millisecond
	}
	if len(a.rest) > 2 {
		if o.ACL, err = ParseACL(a.rest[2]); err != nil {
			return err
		}
	}
	var data []byte
	if len(a.rest) > 1 {
		data = []byte(a.rest[1])
	}
	created, err := sh.client.Create(ctx, path, data, o)
	if err != nil {
		return at(path, err)
	}
	if sh.JSON {
		return sh.object(struct {
			Created string `json:"created"`
		}{created})
	}
	sh.notice("Created %s", created)
	return nil
}

func runSet(ctx context.Context, sh *Shell, a *arguments) error {
	path := a.arg(0)
	if err := checkPath(path); err != nil {
		return err
	}
	if len(a.rest) > 2 {
		sh.notice("a third argument is the old form; use -v for the version")
		a.flags["v"] = []string{a.rest[2]}
	}
	version, err := a.version("v")
	if err != nil {
		return err
	}
	data := []byte(a.rest[1])
	if a.has("b") {
		if data, err = base64.StdEncoding.DecodeString(a.rest[1]); err != nil {
			return &usageError{"-b: " + err.Error()}
		}
	}
	stat, err := sh.client.Set(ctx, path, data, version)
	if err != nil {
		return at(path, err)
	}
	return sh.changed(path, &stat, a.has("s"))
}

// changed prints what set and setAcl print: nothing, or the stat if asked.
func (sh *Shell) changed(path string, stat *wire.Stat, wanted bool) error {
	if sh.JSON {
		return sh.object(struct {
			Path string      `json:"path"`
			Stat *statObject `json:"stat"`
		}{path, statOf(stat)})
	}
	if wanted {
		sh.printStat(stat)
	}
	return nil
}

func runDelete(ctx context.Context, sh *Shell, a *arguments) error {
	path := a.arg(0)
	if err := checkPath(path); err != nil {
		return err
	}
	if len(a.rest) > 1 {
		sh.notice("a second argument is the old form; use -v for the version")
		a.flags["v"] = []string{a.rest[1]}
	}
	version, err := a.version("v")
	if err != nil {
		return err
	}
	if err := sh.client.Delete(ctx, path, version); err != nil {
		return at(path, err)
	}
	return sh.deleted(path)
}

func (sh *Shell) deleted(path string) error {
	if !sh.JSON {
		return nil
	}
	return sh.object(struct {
		Deleted string `json:"deleted"`
	}{path})
}

func runDeleteAll(ctx context.Context, sh *Shell, a *arguments) error {
	path := a.arg(0)
	if err := checkPath(path); err != nil {
		return err
	}
	if n, err := strconv.Atoi(a.value("b")); a.has("b") && (err != nil || n < 1) {
		return &usageError{"-b " + a.value("b") + ": not a batch size"}
	}
	found, _, err := sh.client.Exists(ctx, path)
	if err == nil && !found {
		err = wire.ErrNoNode
	}
	if err == nil {
		err = sh.client.DeleteAll(ctx, path)
	}
	if err != nil {
		return at(path, err)
	}
	return sh.deleted(path)
}

func runSetACL(ctx context.Context, sh *Shell, a *arguments) error {
	path := a.arg(0)
	if err := checkPath(path); err != nil {
		return err
	}
	acl, err := ParseACL(a.rest[1])
	if err != nil {
		return err
	}
	version, err := a.version("v")
	if err != nil {
		return err
	}
	if a.has("R") {
		return sh.setACLAll(ctx, path, acl, version)
	}
	stat, err := sh.client.SetACL(ctx, path, acl, version)
	if err != nil {
		return at(path, err)
	}
	return sh.changed(path, &stat, a.has("s"))
}

// setACLAll sets the ACL of a node and of all below it, parents first. Nodes that vanish meanwhile are passed over.
func (sh *Shell) setACLAll(ctx context.Context, path string, acl []wire.ACL, version int32) error {
	names, _, err := sh.client.Children(ctx, path)
	if err != nil {
		return at(path, err)
	}
	stat, err := sh.client.SetACL(ctx, path, acl, version)
	if err != nil {
		return at(path, err)
	}
	if sh.JSON {
		if err := sh.changed(path, &stat, false); err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := sh.setACLAll(ctx, join(path, name), acl, version); err != nil && !isCode(err, wire.ErrNoNode) {
			return err
		}
	}
	return nil
}
