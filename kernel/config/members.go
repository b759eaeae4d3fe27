package config

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// PeerAddress is one address of a member for its peers.
type PeerAddress struct {
	Host         string // no brackets around IPv6
	QuorumPort   int
	ElectionPort int
}

// Member is one server.N line (spec server-surface, 1.4).
type Member struct {
	ID               int64
	Addresses        []PeerAddress // at least one; more need multiAddress.enabled
	Observer         bool
	ClientHost       string // "" when the line names no client port
	ClientPort       int    // 0 when the line names none
	SecureClientHost string
	SecureClientPort int
	Origin           Origin
}

// String prints what stands behind the equals sign in the form ZooKeeper prints: the role always, behind the last address, the client part only if the line had one.
func (m Member) String() string {
	var b strings.Builder
	for i, a := range m.Addresses {
		if i > 0 {
			b.WriteByte('|')
		}
		fmt.Fprintf(&b, "%s:%d", net.JoinHostPort(a.Host, strconv.Itoa(a.QuorumPort)), a.ElectionPort)
	}
	b.WriteString(":" + m.role())
	if m.ClientPort != 0 {
		b.WriteString(";" + net.JoinHostPort(m.ClientHost, strconv.Itoa(m.ClientPort)))
	}
	if m.SecureClientPort != 0 {
		if m.ClientPort == 0 {
			b.WriteByte(';')
		}
		b.WriteString(";" + net.JoinHostPort(m.SecureClientHost, strconv.Itoa(m.SecureClientPort)))
	}
	return b.String()
}

func (m Member) role() string {
	if m.Observer {
		return "observer"
	}
	return "participant"
}

// memberForm is what an error says about a server.N line.
const memberForm = "host:quorumPort:electionPort[:participant|:observer][|more addresses][;[clientHost:]clientPort]"

// ParseMember reads the text behind server.<id>=. It checks form and ports, not what other members or keys say.
func ParseMember(id int64, text string) (Member, error) {
	m := Member{ID: id}
	parts := strings.Split(text, ";")
	if len(parts) > 3 {
		return Member{}, fmt.Errorf("more than two client parts after ';'")
	}
	roleGiven := ""
	for _, one := range strings.Split(parts[0], "|") {
		address, role, err := parsePeerAddress(one)
		if err != nil {
			return Member{}, err
		}
		if role != "" && roleGiven != "" && role != roleGiven {
			return Member{}, fmt.Errorf("its addresses disagree about the role")
		}
		roleGiven = cmp.Or(role, roleGiven)
		m.Addresses = append(m.Addresses, address)
	}
	m.Observer = roleGiven == "observer"
	var err error
	if len(parts) > 1 && !(len(parts) == 3 && strings.TrimSpace(parts[1]) == "") {
		if m.ClientHost, m.ClientPort, err = parseClientPart(parts[1]); err != nil {
			return Member{}, err
		}
	}
	if len(parts) == 3 {
		if m.SecureClientHost, m.SecureClientPort, err = parseClientPart(parts[2]); err != nil {
			return Member{}, err
		}
	}
	return m, nil
}

func parsePeerAddress(text string) (PeerAddress, string, error) {
	fields, err := splitHost(text)
	if err != nil {
		return PeerAddress{}, "", err
	}
	if len(fields) < 3 {
		return PeerAddress{}, "", fmt.Errorf("no election port in %q", text)
	}
	if len(fields) > 4 {
		return PeerAddress{}, "", fmt.Errorf("too many colons in %q (an IPv6 address needs brackets)", text)
	}
	if fields[0] == "" {
		return PeerAddress{}, "", fmt.Errorf("no host in %q", text)
	}
	a := PeerAddress{Host: fields[0]}
	if a.QuorumPort, err = parsePort(fields[1]); err != nil {
		return PeerAddress{}, "", fmt.Errorf("quorum port: %w", err)
	}
	if a.ElectionPort, err = parsePort(fields[2]); err != nil {
		return PeerAddress{}, "", fmt.Errorf("election port: %w", err)
	}
	if a.QuorumPort == a.ElectionPort {
		return PeerAddress{}, "", fmt.Errorf("quorum port and election port are both %d", a.QuorumPort)
	}
	role := "" // not given: what the others say, or participant
	if len(fields) == 4 {
		role = strings.ToLower(fields[3])
		if role != "participant" && role != "observer" {
			return PeerAddress{}, "", fmt.Errorf("role %q is neither participant nor observer", fields[3])
		}
	}
	return a, role, nil
}

func parseClientPart(text string) (host string, port int, err error) {
	fields, err := splitHost(text)
	if err != nil {
		return "", 0, err
	}
	switch len(fields) {
	case 1:
		host = "0.0.0.0"
	case 2:
		if host = fields[0]; host == "" {
			return "", 0, fmt.Errorf("no client host in %q", text)
		}
	default:
		return "", 0, fmt.Errorf("too many colons in %q (an IPv6 address needs brackets)", text)
	}
	if port, err = parsePort(fields[len(fields)-1]); err != nil {
		return "", 0, fmt.Errorf("client port: %w", err)
	}
	return host, port, nil
}

// splitHost splits at colons; a first part in brackets is an IPv6 address and loses them.
func splitHost(text string) ([]string, error) {
	text = strings.TrimSpace(text)
	if !strings.HasPrefix(text, "[") {
		fields := strings.Split(text, ":")
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		return fields, nil
	}
	end := strings.IndexByte(text, ']')
	if end < 0 {
		return nil, fmt.Errorf("no closing bracket in %q", text)
	}
	host, rest := text[1:end], text[end+1:]
	if address, _, _ := strings.Cut(host, "%"); net.ParseIP(address) == nil {
		return nil, fmt.Errorf("%q in brackets is no IPv6 address", host)
	}
	if !strings.HasPrefix(rest, ":") {
		return nil, fmt.Errorf("no port after the brackets in %q", text)
	}
	return append([]string{host}, strings.Split(rest[1:], ":")...), nil
}

func parsePort(text string) (int, error) {
	port, err := strconv.Atoi(text)
	if err != nil || port < 1 || port > 65535 {
		return 0, fmt.Errorf("%q is no port (1 to 65535)", text)
	}
	return port, nil
}

// Membership is an ensemble: its members and, for hierarchical quorums, groups and weights.
type Membership struct {
	Members []Member          // by ID
	Groups  map[int64][]int64 // group id to server ids; empty: simple majority
	Weights map[int64]int64   // servers not listed weigh 1; only with Groups
	Version uint64            // of the configuration, from the name of the dynamic file; 0 if there is none
}

// Member returns the member with this id.
func (m *Membership) Member(id int64) (Member, bool) {
	i, ok := slices.BinarySearchFunc(m.Members, id, func(member Member, id int64) int { return compareID(member.ID, id) })
	if !ok {
		return Member{}, false
	}
	return m.Members[i], true
}

// Voters returns the ids of the members that vote, in order.
func (m *Membership) Voters() []int64 {
	var out []int64
	for _, member := range m.Members {
		if !member.Observer {
			out = append(out, member.ID)
		}
	}
	return out
}

func compareID(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// membershipPrefix reports which family a key belongs to: "server", "group", "weight", or "" for none.
func membershipPrefix(name string) string {
	for _, prefix := range []string{"server", "group", "weight"} {
		if _, known := keyByName[name]; !known && strings.HasPrefix(name, prefix+".") {
			return prefix
		}
	}
	return ""
}

// parseMembership reads server.N, group.N and weight.N settings; problems are reported to bad and the setting left out. Settings are in file order, a later one wins.
func parseMembership(settings []setting, bad func(s setting, what, allowed string)) Membership {
	members, groups, weights := map[int64]Member{}, map[int64][]int64{}, map[int64]int64{}
	groupOrigin := map[int64]setting{}
	for _, s := range settings {
		prefix, idText, _ := strings.Cut(s.name, ".")
		id, err := strconv.ParseInt(idText, 10, 64)
		if err != nil || id < 0 {
			bad(s, fmt.Sprintf("%q is no server id", idText), "a whole number, by custom 1 to 255")
			continue
		}
		switch prefix {
		case "server":
			m, err := ParseMember(id, s.value)
			if err != nil {
				bad(s, err.Error(), memberForm)
				continue
			}
			m.Origin = s.origin
			members[id] = m
		case "group":
			var ids []int64
			for _, one := range strings.Split(s.value, ":") {
				member, err := strconv.ParseInt(strings.TrimSpace(one), 10, 64)
				if err != nil {
					bad(s, fmt.Sprintf("%q is no server id", one), "server ids with colons between, as 1:2:3")
					continue
				}
				ids = append(ids, member)
			}
			groups[id], groupOrigin[id] = ids, s
		case "weight":
			weight, err := strconv.ParseInt(s.value, 10, 64)
			if err != nil || weight < 0 {
				bad(s, "not a weight", "a whole number from 0 on")
				continue
			}
			weights[id] = weight
		}
	}
	out := Membership{}
	for _, m := range members {
		out.Members = append(out.Members, m)
	}
	slices.SortFunc(out.Members, func(a, b Member) int { return compareID(a.ID, b.ID) })
	if len(groups) > 0 {
		out.Groups, out.Weights = groups, weights
		checkGroups(out, groupOrigin, bad)
	}
	return out
}

// checkGroups: groups are disjoint and cover all voters (spec server-surface, 1.4).
func checkGroups(m Membership, origin map[int64]setting, bad func(s setting, what, allowed string)) {
	ids := make([]int64, 0, len(m.Groups))
	for id := range m.Groups {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	groupOf := map[int64]int64{}
	for _, group := range ids {
		for _, server := range m.Groups[group] {
			if other, taken := groupOf[server]; taken {
				bad(origin[group], fmt.Sprintf("server %d is in group %d and in group %d", server, other, group), "each server in exactly one group")
				continue
			}
			groupOf[server] = group
		}
	}
	for _, voter := range m.Voters() {
		if _, ok := groupOf[voter]; !ok {
			bad(origin[ids[0]], fmt.Sprintf("server %d is in no group", voter), "each voter in exactly one group")
		}
	}
}
