package shell

import (
	"context"
	"encoding/base64"
	"slices"

	"github.com/zooid-project/zooid/sdk/wire"
)

var readCommands = []command{
	{name: "ls", usage: "[-s] [-w] [-R] path", doc: "list children", flags: "s w R", walks: "R", min: 1, max: 2, run: runLs},
	{name: "get", usage: "[-s] [-w] [-b] [-x] path", doc: "print data", flags: "s w b x", min: 1, max: 2, run: runGet},
	{name: "stat", usage: "[-w] path", doc: "print the stat of a node", flags: "w", min: 1, max: 2, run: runStat},
	{name: "getAcl", usage: "[-s] path", doc: "print the ACL of a node", flags: "s", min: 1, max: 1, run: runGetACL},
	{name: "getEphemerals", usage: "[path]", doc: "list the ephemeral nodes of this session", max: 1, run: runGetEphemerals},
	{name: "getAllChildrenNumber", usage: "path", doc: "count the nodes below a path", min: 1, max: 1, run: runGetAllChildrenNumber},
	{name: "sync", usage: "path", doc: "make reads see all that was committed before", min: 1, max: 1, run: runSync},
}

// wantsWatch reads -w and the old form with a second argument.
func (sh *Shell) wantsWatch(a *arguments) bool {
	if len(a.rest) > 1 {
		sh.notice("a second argument is the old form; use -w to watch")
		return true
	}
	return a.has("w")
}

func runLs(ctx context.Context, sh *Shell, a *arguments) error {
	path := a.arg(0)
	if err := checkPath(path); err != nil {
		return err
	}
	if a.has("R") {
		return sh.lsAll(ctx, path)
	}
	var names []string
	var stat wire.Stat
	var err error
	if sh.wantsWatch(a) {
		var w Watch
		if names, stat, w, err = sh.client.ChildrenW(ctx, path); err == nil {
			sh.follow(w, path, wire.WatcherChildren)
		}
	} else {
		names, stat, err = sh.client.Children(ctx, path)
	}
	if err != nil {
		return at(path, err)
	}
	slices.Sort(names)
	if sh.JSON {
		object := struct {
			Path     string      `json:"path"`
			Children []string    `json:"children"`
			Stat     *statObject `json:"stat,omitempty"`
		}{path, append([]string{}, names...), nil}
		if a.has("s") {
			object.Stat = statOf(&stat)
		}
		return sh.object(object)
	}
	sh.print("%s", list(names))
	if a.has("s") {
		sh.printStat(&stat)
	}
	return nil
}

// lsAll prints a subtree depth first, siblings in order. Nodes that vanish meanwhile are left out.
func (sh *Shell) lsAll(ctx context.Context, path string) error {
	names, _, err := sh.client.Children(ctx, path)
	if err != nil {
		return at(path, err)
	}
	if sh.JSON {
		if err := sh.object(struct {
			Path string `json:"path"`
		}{path}); err != nil {
			return err
		}
	} else {
		sh.print("%s", path)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := sh.lsAll(ctx, join(path, name)); err != nil && !isCode(err, wire.ErrNoNode) {
			return err
		}
	}
	return nil
}

func join(parent, name string) string {
	if parent == "/" {
		return "/" + name
	}
	return parent + "/" + name
}

func runGet(ctx context.Context, sh *Shell, a *arguments) error {
	path := a.arg(0)
	if err := checkPath(path); err != nil {
		return err
	}
	var data []byte
	var stat wire.Stat
	var err error
	if sh.wantsWatch(a) {
		var w Watch
		if data, stat, w, err = sh.client.GetW(ctx, path); err == nil {
			sh.follow(w, path, wire.WatcherData)
		}
	} else {
		data, stat, err = sh.client.Get(ctx, path)
	}
	if err != nil {
		return at(path, err)
	}
	if sh.JSON {
		return sh.object(nodeOf(path, data, &stat))
	}
	switch {
	case data == nil:
		sh.print("null")
	case a.has("b"):
		sh.print("%s", base64.StdEncoding.EncodeToString(data))
	case a.has("x"):
		sh.print("%s", hexDump(data))
	default:
		sh.print("%s", data)
	}
	if a.has("s") {
		sh.printStat(&stat)
	}
	return nil
}

func runStat(ctx context.Context, sh *Shell, a *arguments) error {
	path := a.arg(0)
	if err := checkPath(path); err != nil {
		return err
	}
	var found bool
	var stat wire.Stat
	var err error
	if sh.wantsWatch(a) {
		var w Watch
		if found, stat, w, err = sh.client.ExistsW(ctx, path); err == nil {
			sh.follow(w, path, wire.WatcherData)
		}
	} else {
		found, stat, err = sh.client.Exists(ctx, path)
	}
	if err == nil && !found {
		err = wire.ErrNoNode
	}
	if err != nil {
		return at(path, err)
	}
	if sh.JSON {
		return sh.object(struct {
			Path string      `json:"path"`
			Stat *statObject `json:"stat"`
		}{path, statOf(&stat)})
	}
	sh.printStat(&stat)
	return nil
}

type aclObject struct {
	Scheme string `json:"scheme"`
	ID     string `json:"id"`
	Perms  string `json:"perms"`
}

func runGetACL(ctx context.Context, sh *Shell, a *arguments) error {
	path := a.arg(0)
	if err := checkPath(path); err != nil {
		return err
	}
	entries, stat, err := sh.client.GetACL(ctx, path)
	if err != nil {
		return at(path, err)
	}
	if sh.JSON {
		object := struct {
			Path string      `json:"path"`
			ACL  []aclObject `json:"acl"`
			Stat *statObject `json:"stat,omitempty"`
		}{Path: path, ACL: []aclObject{}}
		for _, e := range entries {
			object.ACL = append(object.ACL, aclObject{e.ID.Scheme, e.ID.ID, e.Perms.String()})
		}
		if a.has("s") {
			object.Stat = statOf(&stat)
		}
		return sh.object(object)
	}
	for _, e := range entries {
		sh.print("'%s,'%s\n: %s", e.ID.Scheme, e.ID.ID, e.Perms)
	}
	if a.has("s") {
		sh.printStat(&stat)
	}
	return nil
}

func runGetEphemerals(ctx context.Context, sh *Shell, a *arguments) error {
	path := a.arg(0)
	if path == "" {
		path = "/"
	}
	if err := checkPath(path); err != nil {
		return err
	}
	paths, err := sh.client.Ephemerals(ctx, path)
	if err != nil {
		return at(path, err)
	}
	if sh.JSON {
		return sh.object(struct {
			Ephemerals []string `json:"ephemerals"`
		}{append([]string{}, paths...)})
	}
	sh.print("%s", list(paths))
	return nil
}

func runGetAllChildrenNumber(ctx context.Context, sh *Shell, a *arguments) error {
	path := a.arg(0)
	if err := checkPath(path); err != nil {
		return err
	}
	n, err := sh.client.CountDescendants(ctx, path)
	if err != nil {
		return at(path, err)
	}
	if sh.JSON {
		return sh.object(struct {
			Path  string `json:"path"`
			Count int    `json:"count"`
		}{path, n})
	}
	sh.print("%d", n)
	return nil
}

func runSync(ctx context.Context, sh *Shell, a *arguments) error {
	path := a.arg(0)
	if err := checkPath(path); err != nil {
		return err
	}
	if err := sh.client.Sync(ctx, path); err != nil {
		return at(path, err)
	}
	if sh.JSON {
		return sh.object(struct {
			Synced string `json:"synced"`
		}{path})
	}
	sh.print("Sync is OK")
	return nil
}
