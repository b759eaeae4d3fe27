package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Effective is one value that counts.
type Effective struct {
	Key    string
	Value  string // masked if secret
	Origin Origin
}

// Effective lists every value that counts, defaults included, in the order of the table; then open-ended keys by name, then members. Secrets are masked.
// Unknown keys are left out: they have no effect.
func (c *Config) Effective() []Effective {
	var out []Effective
	for i := range Keys {
		k := &Keys[i]
		s, set := c.settings[k.Name]
		if derived, ok := c.derived(k); ok && (!set || s.value == "-1") {
			out = append(out, derived)
			continue
		}
		if !set {
			s = setting{name: k.Name, value: k.Default}
		}
		if s.value != "" {
			out = append(out, Effective{k.Name, s.shown(), s.origin})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.settings)) {
		if _, known := keyByName[name]; !known && familyOf(name) != nil {
			out = append(out, Effective{name, c.settings[name].shown(), c.settings[name].origin})
		}
	}
	for _, m := range c.Membership.Members {
		out = append(out, Effective{fmt.Sprintf("server.%d", m.ID), m.String(), m.Origin})
	}
	return out
}

// derived is the value of a key that nobody set and that follows from others.
func (c *Config) derived(k *Key) (Effective, bool) {
	value := ""
	switch k.Name {
	case "dataLogDir":
		value = c.DataLogDir
	case "minSessionTimeout":
		value = milliseconds(c.MinSessionTimeout)
	case "maxSessionTimeout":
		value = milliseconds(c.MaxSessionTimeout)
	case "clientPort":
		if self, ok := c.Membership.Member(c.ServerID); ok && self.ClientPort != 0 {
			return Effective{k.Name, strconv.Itoa(c.ClientPort), self.Origin}, true
		}
		return Effective{}, false
	case "quorumCnxnTimeoutMs":
		if c.Mode == Standalone {
			return Effective{}, false
		}
		value = milliseconds(c.Quorum.ReadTimeout)
	default:
		return Effective{}, false
	}
	return Effective{k.Name, value, Origin{Name: k.Derived}}, true
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
