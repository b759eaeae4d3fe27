package shell

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/wire"
)

var quotaCommands = []command{
	{name: "setquota", usage: "-n|-b|-N|-B val path", doc: "limit nodes (-n soft, -N hard) or bytes (-b, -B) of a subtree", values: "n b N B", min: 1, max: 1, run: runSetQuota},
	{name: "listquota", usage: "path", doc: "print limits and use of a subtree", min: 1, max: 1, run: runListQuota},
	{name: "delquota", usage: "[-n|-b|-N|-B] path", doc: "remove limits of a subtree", flags: "n b N B", min: 1, max: 1, run: runDelQuota},
}

func limitsPath(path string) string { return wire.QuotaPath + path + "/" + wire.QuotaLimitsNode }
func statsPath(path string) string  { return wire.QuotaPath + path + "/" + wire.QuotaStatsNode }

// limit is the field of a quota that a flag names.
func limit(q *wire.Quota, flag string) *int64 {
	switch flag {
	case "n":
		return &q.Count
	case "b":
		return &q.Bytes
	case "N":
		return &q.HardCount
	}
	return &q.HardBytes
}

func runSetQuota(ctx context.Context, sh *Shell, a *arguments) error {
	path := a.arg(0)
	if err := checkPath(path); err != nil {
		return err
	}
	if len(a.flags) == 0 {
		return &usageError{"one of -n, -b, -N and -B is needed"}
	}
	if path == wire.ZooKeeperPath || strings.HasPrefix(path, wire.ZooKeeperPath+"/") {
		return &usageError{"cannot set a quota under " + wire.ZooKeeperPath}
	}
	found, _, err := sh.client.Exists(ctx, path)
	if err == nil && !found {
		err = wire.ErrNoNode
	}
	if err != nil {
		return at(path, err)
	}
	if err := sh.noQuotaAround(ctx, path); err != nil {
		return err
	}
	old, _, err := sh.client.Get(ctx, limitsPath(path))
	isNew := isCode(err, wire.ErrNoNode)
	if err != nil && !isNew {
		return at(path, err)
	}
	q, _ := wire.ParseQuota(old)
	for flag := range a.flags {
		n, err := strconv.ParseInt(a.value(flag), 10, 64)
		if err != nil || n < -1 {
			return &usageError{fmt.Sprintf("-%s %s: not a limit", flag, a.value(flag))}
		}
		*limit(&q, flag) = n
	}
	q.Long = true
	text := q.AppendTo(nil)
	if !isNew {
		_, err := sh.client.Set(ctx, limitsPath(path), text, client.AnyVersion)
		return at(path, err)
	}
	// The server fills the stats in when the limits appear, so the stats are there first.
	use := wire.Quota{HardCount: wire.NoLimit, HardBytes: wire.NoLimit}
	if _, err := sh.client.Create(ctx, statsPath(path), use.AppendTo(nil), client.CreateOptions{Parents: true}); err != nil && !isCode(err, wire.ErrNodeExists) {
		return at(path, err)
	}
	_, err = sh.client.Create(ctx, limitsPath(path), text, client.CreateOptions{Parents: true})
	return at(path, err)
}

// noQuotaAround refuses a quota above or below another one, which servers do not count right.
func (sh *Shell) noQuotaAround(ctx context.Context, path string) error {
	for parent := path; parent != ""; {
		parent = parent[:strings.LastIndexByte(parent, '/')]
		if parent == "" {
			break
		}
		found, _, err := sh.client.Exists(ctx, limitsPath(parent))
		if err != nil {
			return at(path, err)
		}
		if found {
			return at(path, fmt.Errorf("%s lies under %s, which has a quota already", path, parent))
		}
	}
	return sh.noQuotaBelow(ctx, path, wire.QuotaPath+path)
}

func (sh *Shell) noQuotaBelow(ctx context.Context, path, quotaPath string) error {
	names, _, err := sh.client.Children(ctx, quotaPath)
	if isCode(err, wire.ErrNoNode) {
		return nil
	}
	if err != nil {
		return at(path, err)
	}
	for _, name := range names {
		if name == wire.QuotaStatsNode {
			continue
		}
		if name == wire.QuotaLimitsNode {
			if owner := strings.TrimPrefix(quotaPath, wire.QuotaPath); owner != path {
				return at(path, fmt.Errorf("below %s there is %s, which has a quota already", path, owner))
			}
			continue
		}
		if err := sh.noQuotaBelow(ctx, path, join(quotaPath, name)); err != nil {
			return err
		}
	}
	return nil
}

func runListQuota(ctx context.Context, sh *Shell, a *arguments) error {
	path := a.arg(0)
	if err := checkPath(path); err != nil {
		return err
	}
	if !sh.JSON {
		sh.notice("absolute path is %s", limitsPath(path))
	}
	limits, _, err := sh.client.Get(ctx, limitsPath(path))
	if isCode(err, wire.ErrNoNode) {
		return at(path, fmt.Errorf("%s has no quota", path))
	}
	if err != nil {
		return at(path, err)
	}
	use, _, err := sh.client.Get(ctx, statsPath(path))
	if err != nil && !isCode(err, wire.ErrNoNode) {
		return at(path, err)
	}
	if sh.JSON {
		q, _ := wire.ParseQuota(limits)
		u, _ := wire.ParseQuota(use)
		return sh.object(struct {
			Path      string `json:"path"`
			Count     int64  `json:"count_limit"`
			Bytes     int64  `json:"bytes_limit"`
			HardCount int64  `json:"count_hard_limit"`
			HardBytes int64  `json:"bytes_hard_limit"`
			UsedCount int64  `json:"count"`
			UsedBytes int64  `json:"bytes"`
		}{path, q.Count, q.Bytes, q.HardCount, q.HardBytes, u.Count, u.Bytes})
	}
	sh.print("Output quota for %s %s", path, limits)
	sh.print("Output stat for %s %s", path, use)
	return nil
}

func runDelQuota(ctx context.Context, sh *Shell, a *arguments) error {
	path := a.arg(0)
	if err := checkPath(path); err != nil {
		return err
	}
	text, _, err := sh.client.Get(ctx, limitsPath(path))
	if isCode(err, wire.ErrNoNode) {
		return at(path, fmt.Errorf("%s has no quota", path))
	}
	if err != nil {
		return at(path, err)
	}
	q, _ := wire.ParseQuota(text)
	if len(a.flags) > 0 {
		for flag := range a.flags {
			*limit(&q, flag) = wire.NoLimit
		}
		_, err := sh.client.Set(ctx, limitsPath(path), q.AppendTo(nil), client.AnyVersion)
		return at(path, err)
	}
	for _, node := range []string{limitsPath(path), statsPath(path)} {
		if err := sh.client.Delete(ctx, node, client.AnyVersion); err != nil && !isCode(err, wire.ErrNoNode) {
			return at(path, err)
		}
	}
	// Parents that nothing is under any more go, up to the root of quotas.
	for node := wire.QuotaPath + path; node != wire.QuotaPath; node = node[:strings.LastIndexByte(node, '/')] {
		if err := sh.client.Delete(ctx, node, client.AnyVersion); err != nil {
			if isCode(err, wire.ErrNotEmpty) || isCode(err, wire.ErrNoNode) {
				return nil
			}
			return at(path, err)
		}
	}
	return nil
}
