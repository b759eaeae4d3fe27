package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/zooid-project/zooid/kernel"
)

// ParseEnsemble reads a configuration as servers exchange it and as the configuration node holds it (spec peer-wire-and-disk, 8.3): server, group and weight lines, and a
// version line in hexadecimal, which may be missing. It is strict: what comes from a peer is understood as a whole or refused.
func ParseEnsemble(text string) (kernel.Ensemble, error) {
	var settings []setting
	version := kernel.Zxid(0)
	seen := map[string]bool{}
	for _, line := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		switch {
		case !ok:
			return kernel.Ensemble{}, fmt.Errorf("configuration line %q has no equals sign", line)
		case seen[name]:
			return kernel.Ensemble{}, fmt.Errorf("configuration key %s stands there twice", name)
		case name == "version":
			v, err := strconv.ParseUint(value, 16, 64)
			if err != nil || v > 1<<63-1 {
				return kernel.Ensemble{}, fmt.Errorf("configuration version %q is no hexadecimal number", value)
			}
			version = kernel.Zxid(v)
		case membershipPrefix(name) == "":
			return kernel.Ensemble{}, fmt.Errorf("configuration key %q is not server.N, group.N, weight.N or version", name)
		default:
			settings = append(settings, setting{name: name, value: value})
		}
		seen[name] = true
	}
	var problems []error
	m := parseMembership(settings, func(s setting, what, allowed string) {
		problems = append(problems, fmt.Errorf("%s=%s: %s: want %s", s.name, s.value, what, allowed))
	})
	if len(problems) > 0 {
		return kernel.Ensemble{}, errors.Join(problems...)
	}
	if len(m.Voters()) == 0 {
		return kernel.Ensemble{}, errors.New("the configuration names no server that votes")
	}
	m.Version = uint64(version)
	return m.Ensemble(), nil
}

// Ensemble is the membership as the kernel counts quorums in it.
func (m *Membership) Ensemble() kernel.Ensemble {
	e := kernel.Ensemble{Version: kernel.Zxid(m.Version), Text: m.Text()}
	for _, s := range m.Members {
		id := kernel.ServerID(s.ID)
		e.Members = append(e.Members, kernel.Member{ID: id, Voter: !s.Observer, Text: s.String()})
		if s.Observer {
			e.Others = append(e.Others, id)
		} else {
			e.Voters = append(e.Voters, id)
		}
	}
	for _, id := range m.groupIDs() {
		g := kernel.QuorumGroup{ID: id}
		members := slices.Clone(m.Groups[id])
		slices.Sort(members)
		for _, server := range members {
			weight, given := m.Weights[server]
			if !given {
				weight = 1
			}
			g.Members = append(g.Members, kernel.WeightedVoter{ID: kernel.ServerID(server), Weight: weight})
		}
		e.Groups = append(e.Groups, g)
	}
	return e
}

// Text is the configuration as servers exchange it: servers, groups, weights, and the version without a newline behind it.
func (m *Membership) Text() string {
	var b strings.Builder
	for _, s := range m.Members {
		fmt.Fprintf(&b, "server.%d=%s\n", s.ID, s)
	}
	for _, id := range m.groupIDs() {
		members := make([]string, len(m.Groups[id]))
		for i, server := range m.Groups[id] {
			members[i] = strconv.FormatInt(server, 10)
		}
		fmt.Fprintf(&b, "group.%d=%s\n", id, strings.Join(members, ":"))
	}
	// Every weight is written, those too that were left out, as ZooKeeper's servers do: the configuration node is the same on all.
	weights := maps.Clone(m.Weights)
	for _, servers := range m.Groups {
		for _, server := range servers {
			if _, given := weights[server]; !given {
				if weights == nil {
					weights = map[int64]int64{}
				}
				weights[server] = 1
			}
		}
	}
	for _, server := range slices.Sorted(maps.Keys(weights)) {
		fmt.Fprintf(&b, "weight.%d=%d\n", server, weights[server])
	}
	fmt.Fprintf(&b, "version=%x", m.Version)
	return b.String()
}

func (m *Membership) groupIDs() []int64 {
	ids := make([]int64, 0, len(m.Groups))
	for id := range m.Groups {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
