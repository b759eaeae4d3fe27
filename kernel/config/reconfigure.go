package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/zooid-project/zooid/kernel"
)

// Reconfigure is a configuration after a client's change (spec server-surface, 1.7). members, if it is not empty, is the whole new one: lines as in a configuration, separated by commas or newlines.
// Otherwise the servers whose ids leaving lists go first, and joining adds servers, or replaces those that are there: server.N=..., with all three ports. Both lists have commas between.
func Reconfigure(current kernel.Ensemble, joining, leaving, members string, version kernel.Zxid) (kernel.Ensemble, error) {
	text := strings.ReplaceAll(members, ",", "\n")
	if members == "" {
		var err error
		if text, err = increment(current, joining, leaving); err != nil {
			return kernel.Ensemble{}, err
		}
	}
	var lines []string
	for _, line := range strings.Split(text, "\n") {
		if name, _, _ := strings.Cut(line, "="); strings.TrimSpace(name) != "version" { // it is ours to give
			lines = append(lines, line)
		}
	}
	return ParseEnsemble(strings.Join(append(lines, fmt.Sprintf("version=%x", int64(version))), "\n"))
}

// increment writes the member lines of a configuration after servers have left and joined.
func increment(current kernel.Ensemble, joining, leaving string) (string, error) {
	if len(current.Groups) > 0 {
		return "", errors.New("servers can leave and join one by one only where a quorum is a majority: give the whole configuration")
	}
	members := map[kernel.ServerID]Member{}
	for _, m := range current.Members {
		parsed, err := ParseMember(int64(m.ID), m.Text)
		if err != nil {
			return "", fmt.Errorf("server.%d: %w", m.ID, err)
		}
		members[m.ID] = parsed
	}
	for _, one := range listed(leaving) {
		id, err := strconv.ParseInt(one, 10, 64)
		if err != nil {
			return "", fmt.Errorf("%q is no server id", one)
		}
		delete(members, kernel.ServerID(id))
	}
	for _, one := range listed(joining) {
		name, value, ok := strings.Cut(one, "=")
		number, server := strings.CutPrefix(strings.TrimSpace(name), "server.")
		id, err := strconv.ParseInt(number, 10, 64)
		if !ok || !server || err != nil {
			return "", fmt.Errorf("%q is not of the form server.N=...", one)
		}
		m, err := ParseMember(id, value)
		if err != nil {
			return "", fmt.Errorf("%s: %w", one, err)
		}
		if m.ClientPort == 0 {
			return "", fmt.Errorf("%s: a server that joins needs a client port", one)
		}
		for other, there := range members {
			if other != kernel.ServerID(id) && shareAddress(m, there) {
				return "", fmt.Errorf("%s has an address of server.%d", one, other)
			}
		}
		members[kernel.ServerID(id)] = m
	}
	var b strings.Builder
	for id, m := range members {
		fmt.Fprintf(&b, "server.%d=%s\n", id, m)
	}
	return b.String(), nil // in any order: it is parsed, and that sorts
}

func listed(text string) (items []string) {
	for _, one := range strings.Split(text, ",") {
		if one = strings.TrimSpace(one); one != "" {
			items = append(items, one)
		}
	}
	return items
}

// endpoint is one port of a server.
type endpoint struct {
	host string
	port int
}

// endpoints lists where a server listens. A port on all of its addresses says nothing about any other server.
func (m Member) endpoints() (list []endpoint) {
	add := func(host string, port int) {
		if port != 0 && host != "0.0.0.0" && host != "::" {
			list = append(list, endpoint{host, port})
		}
	}
	for _, a := range m.Addresses {
		add(a.Host, a.QuorumPort)
		add(a.Host, a.ElectionPort)
	}
	add(m.ClientHost, m.ClientPort)
	add(m.SecureClientHost, m.SecureClientPort)
	return list
}

func shareAddress(a, b Member) bool {
	for _, x := range a.endpoints() {
		for _, y := range b.endpoints() {
			if x == y {
				return true
			}
		}
	}
	return false
}
