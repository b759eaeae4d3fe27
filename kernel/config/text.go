package config

import (
	"strconv"
	"strings"
)

// Text is a value in the form in which options of plugins are written, for options that take their value from a key of zoo.cfg. ok is false if the option's own default should hold.
// Unlike Get it gives what counts in the end: ports and addresses after the server.N line was read, session time-outs as numbers, all SASL super users.
// Booleans in ZooKeeper's several spellings become true and false; skipACL alone stays yes or no.
// The key authProvider stands for all authProvider.N together: the schemes that they add. SourceText stands for the text of the file.
func (c *Config) Text(key string) (value string, ok bool) {
	if key == "authProvider" {
		return strings.Join(c.Auth.Schemes, ","), len(c.Auth.Schemes) > 0
	}
	if key == SourceText {
		return c.Source, c.Source != ""
	}
	k, known := LookUp(key)
	if !known {
		s, ok := c.settings[key]
		return s.value, ok
	}
	switch k.Name {
	case "clientPort":
		return portText(c.ClientPort), true
	case "secureClientPort":
		return portText(c.SecureClientPort), true
	case "clientPortAddress":
		return c.ClientPortAddress, true
	case "secureClientPortAddress":
		return c.SecureClientPortAddress, true
	case "minSessionTimeout":
		return milliseconds(c.MinSessionTimeout), true
	case "maxSessionTimeout":
		return milliseconds(c.MaxSessionTimeout), true
	case "superUser":
		return strings.Join(c.Auth.SASLSuperUsers, ","), len(c.Auth.SASLSuperUsers) > 0
	case "4lw.commands.whitelist":
		return strings.Join(c.Words, ","), true
	}
	s, ok := c.Get(k.Name)
	switch k.Kind {
	case Strict, Lenient:
		return strconv.FormatBool(strings.EqualFold(s.Value, "true")), ok
	case UnlessNo:
		return strconv.FormatBool(s.Value != "no"), ok
	}
	return s.Value, ok
}

// SourceText is what an option names in place of a key to get the text of the configuration file, secrets masked.
const SourceText = "(file)"

// portText is -1 for no listener: an option's default must not open a port that nobody asked for.
func portText(port int) string {
	if port == 0 {
		return "-1"
	}
	return strconv.Itoa(port)
}
