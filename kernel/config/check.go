package config

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// schemeOf are the authentication providers of ZooKeeper that Zooid has an equivalent of.
var schemeOf = map[string]string{
	"org.apache.zookeeper.server.auth.SASLAuthenticationProvider":     "sasl",
	"org.apache.zookeeper.server.auth.X509AuthenticationProvider":     "x509",
	"org.apache.zookeeper.server.auth.DigestAuthenticationProvider":   "digest",
	"org.apache.zookeeper.server.auth.IPAuthenticationProvider":       "ip",
	"org.apache.zookeeper.server.auth.EnsembleAuthenticationProvider": "ensemble",
}

// fillFamilies reads the keys whose names are open-ended, in the order of their names.
func (l *loader) fillFamilies() {
	c := l.c
	if c.Auth.SASLSuperUser != "" {
		c.Auth.SASLSuperUsers = append(c.Auth.SASLSuperUsers, c.Auth.SASLSuperUser)
	}
	for _, name := range slices.Sorted(maps.Keys(c.settings)) {
		s := c.settings[name]
		if _, known := keyByName[name]; known {
			continue
		}
		f := familyOf(name)
		if f == nil {
			continue
		}
		rest := name[len(f.prefix):]
		switch f.prefix {
		case "authProvider.":
			scheme, ok := schemeOf[s.value]
			if !ok {
				l.fail(s, "a Java class that Zooid has nothing for; an authenticator of your own is a plugin (plugin.auth)", strings.Join(slices.Sorted(maps.Keys(schemeOf)), ", "))
				continue
			}
			if !slices.Contains(c.Auth.Schemes, scheme) {
				c.Auth.Schemes = append(c.Auth.Schemes, scheme)
			}
		case "superUser.":
			c.Auth.SASLSuperUsers = append(c.Auth.SASLSuperUsers, s.value)
		case "plugin.":
			kind, option, isOption := strings.Cut(rest, ".")
			if kind == "" || isOption && option == "" {
				l.fail(s, "no plugin key", "plugin.KIND=NAME or plugin.KIND.OPTION=VALUE")
				continue
			}
			p := c.Plugins[kind]
			if isOption {
				if p.Options == nil {
					p.Options = map[string]Setting{}
				}
				p.Options[option] = Setting{s.value, s.origin}
			} else {
				p.Name = Setting{s.value, s.origin}
			}
			c.Plugins[kind] = p
		}
	}
	slices.Sort(c.Auth.SASLSuperUsers)
}

// check holds the rules between keys, fills in what is derived from other keys, and picks the start mode.
func (l *loader) check() {
	l.checkPaths()
	l.checkTimes()
	l.checkAuth()
	l.checkMode()
	l.checkPorts()
	l.c.Metrics.None = l.c.Metrics.Provider == nullMetrics
	l.c.Metrics.Prometheus = strings.HasSuffix(l.c.Metrics.Provider, ".PrometheusMetricsProvider")
}

func (l *loader) set(name string) (setting, bool) {
	s, ok := l.c.settings[name]
	return s, ok
}

// whole is the origin of problems with the configuration as a whole.
func (l *loader) whole() setting {
	if l.c.File == "" {
		return setting{origin: Origin{Kind: FromCommandLine}}
	}
	return setting{origin: Origin{Kind: FromFile, Name: l.c.File}}
}

func (l *loader) checkPaths() {
	c := l.c
	if c.DataDir == "" {
		s := l.whole()
		s.name = "dataDir"
		l.fail(s, "missing", "the directory that the server keeps its data in")
	}
	if c.DataLogDir == "" {
		c.DataLogDir = c.DataDir
	}
	if c.File != "" {
		if path := filepath.Join(filepath.Dir(c.File), "java.env"); exists(path) {
			l.warn(setting{origin: Origin{Kind: FromFile, Name: path}}, "is not read; put its flags into the variable SERVER_JVMFLAGS")
		}
	}
}

func (l *loader) checkTimes() {
	c := l.c
	if c.MinSessionTimeout < 0 {
		c.MinSessionTimeout = 2 * c.TickTime
	}
	if c.MaxSessionTimeout < 0 {
		c.MaxSessionTimeout = 20 * c.TickTime
	}
	if c.MinSessionTimeout > c.MaxSessionTimeout {
		s, ok := l.set("minSessionTimeout")
		if !ok {
			s, _ = l.set("maxSessionTimeout")
		}
		l.fail(s, fmt.Sprintf("the shortest session time-out, %d ms, is over the longest, %d ms", c.MinSessionTimeout/time.Millisecond, c.MaxSessionTimeout/time.Millisecond), "minSessionTimeout up to maxSessionTimeout")
	}
	if c.Quorum.ConnectLimit == 0 {
		c.Quorum.ConnectLimit = c.Quorum.InitLimit
	}
	if c.Quorum.ReadTimeout < 0 {
		c.Quorum.ReadTimeout = time.Duration(c.Quorum.SyncLimit) * c.TickTime
	}
}

func (l *loader) checkAuth() {
	c := l.c
	if c.ReadOnlyMode && !slices.Contains(c.Words, "isro") {
		c.Words = append(c.Words, "isro")
	}
	if !slices.Contains(c.Words, "srvr") {
		c.Words = append(c.Words, "srvr")
	}
	if c.Auth.RequireSASL {
		c.Auth.Enforce = true
		if !slices.Contains(c.Auth.EnforceSchemes, "sasl") {
			c.Auth.EnforceSchemes = append(c.Auth.EnforceSchemes, "sasl")
		}
	}
	if c.Auth.Enforce && len(c.Auth.EnforceSchemes) == 0 {
		s, _ := l.set("enforce.auth.enabled")
		l.fail(s, "no scheme satisfies it", "with enforce.auth.schemes, as enforce.auth.schemes=sasl")
	}
	if s, ok := l.set("DigestAuthenticationProvider.superDigest"); ok && s.value != "" && !strings.HasPrefix(s.value, "super:") {
		l.warn(s, "gives no rights to anybody: it has to start with super:")
	}
	if s, ok := l.set("skipACL"); ok && c.Auth.SkipACL {
		l.warn(s, "no ACL is checked: every client may do everything")
	}
	if s, ok := l.set("forceSync"); ok && !c.Storage.ForceSync {
		l.warn(s, "writes are confirmed before they are on disk: a power failure loses some of them")
	}
	switches := []string{"quorum.auth.enableSasl", "quorum.auth.learnerRequireSasl", "quorum.auth.serverRequireSasl"}
	for i, name := range switches[1:] {
		needed, _ := c.Get(switches[i])
		if s, ok := l.set(name); ok && strings.EqualFold(s.value, "true") {
			if !strings.EqualFold(needed.Value, "true") {
				l.fail(s, "needs "+switches[i]+"=true", "")
			} else {
				l.fail(s, "SASL between servers is not supported yet, and going without would be unsafe", "")
			}
		}
	}
}

// checkMode decides how the server runs and checks what that needs (spec server-surface, 1.5).
func (l *loader) checkMode() {
	c := l.c
	members, voters := c.Membership.Members, len(c.Membership.Voters())
	whole := l.whole()
	switch {
	case len(members) == 0 && c.Quorum.StandaloneEnabled:
		c.Mode = Standalone
	case len(members) == 0:
		s, _ := l.set("standaloneEnabled")
		l.fail(s, "there are no server.N lines", "with at least one server.N line")
	case voters == 0:
		l.fail(whole, "all members are observers", "at least one server.N line without :observer")
	case voters == 1 && c.Quorum.StandaloneEnabled && len(members) > 1:
		l.fail(whole, "one voter runs alone and cannot have observers", "standaloneEnabled=false, or more voters")
	case voters == 1 && c.Quorum.StandaloneEnabled:
		c.Mode = Standalone
		l.warn(whole, "one server.N line: the server runs alone, and the line counts for nothing but its client port")
	default:
		c.Mode = Replicated
	}
	id, hasID := l.readMyID()
	if !hasID && len(members) == 1 && c.Mode == Standalone {
		id = members[0].ID
	}
	c.ServerID = id
	if c.ExtendedTypes && id > 254 {
		l.fail(setting{origin: Origin{Kind: FromFile, Name: filepath.Join(c.DataDir, "myid")}}, fmt.Sprintf("server id %d is too large for extendedTypesEnabled", id), "0 to 254")
	}
	if c.Emulate353TTL && id > 127 {
		l.fail(setting{origin: Origin{Kind: FromFile, Name: filepath.Join(c.DataDir, "myid")}}, fmt.Sprintf("server id %d is too large for emulate353TTLNodes", id), "0 to 127")
	}
	if !c.Quorum.MultiAddress {
		for _, m := range members {
			if len(m.Addresses) > 1 {
				l.fail(setting{name: fmt.Sprintf("server.%d", m.ID), value: m.String(), origin: m.Origin}, "several addresses", "one, or multiAddress.enabled=true")
			}
		}
	}
	if c.Mode == Replicated {
		l.checkReplicated(id, hasID, voters)
	}
	if self, ok := c.Membership.Member(id); ok {
		l.takeClientPort(self)
	}
}

func (l *loader) checkReplicated(id int64, hasID bool, voters int) {
	c, whole := l.c, l.whole()
	for _, name := range []string{"initLimit", "syncLimit"} {
		if _, ok := l.set(name); !ok {
			s := whole
			s.name = name
			l.fail(s, "missing, and needed with several servers", "a number of ticks")
		}
	}
	if !hasID {
		l.fail(setting{origin: Origin{Kind: FromFile, Name: filepath.Join(c.DataDir, "myid")}}, "missing", "a file whose first line is the N of this server's server.N line")
	}
	self, isMember := c.Membership.Member(id)
	if s, ok := l.set("peerType"); ok && isMember && self.role() != c.Quorum.PeerType {
		l.warn(s, fmt.Sprintf("server.%d says %s, and that counts", id, self.role()))
	}
	if isMember {
		c.Quorum.PeerType = self.role()
	} else if hasID {
		l.failStranger(id)
	}
	if voters == 2 {
		l.warn(whole, "two voters: the ensemble stops when either does")
	} else if voters%2 == 0 {
		l.warn(whole, fmt.Sprintf("%d voters survive no more failures than %d", voters, voters-1))
	}
}

// failStranger refuses a configuration in which this server is not: nothing says where it is reached, and ZooKeeper's servers do not start either. A file with a version in its name was written by a server: it says what the
// ensemble has agreed on, and adding a line to it changes nothing of that.
func (l *loader) failStranger(id int64) {
	asked, dynamic := l.set("dynamicConfigFile")
	if v := l.c.Membership.Version; dynamic && v != 0 {
		l.fail(asked, fmt.Sprintf("server %d (myid) is not a member of configuration version %x: it was removed from the ensemble, or its myid is wrong", id, v),
			fmt.Sprintf("to take it back, a file of yours with the other members and a line server.%d=host:quorumPort:electionPort, whose name does not end with a version; then add it with reconfig", id))
		return
	}
	l.fail(l.whole(), fmt.Sprintf("server %d (myid) is not a member of the configuration", id), fmt.Sprintf("with a line server.%d=host:quorumPort:electionPort among the others, or another myid", id))
}

// takeClientPort joins clientPort and the client part of the own server.N line, which must not contradict each other.
func (l *loader) takeClientPort(self Member) {
	c := l.c
	if self.ClientPort != 0 {
		s, set := l.set("clientPort")
		anyAddress := c.ClientPortAddress == "" || c.ClientPortAddress == "0.0.0.0" || c.ClientPortAddress == "::"
		if set && c.ClientPort != 0 && (c.ClientPort != self.ClientPort || !anyAddress && c.ClientPortAddress != self.ClientHost) {
			l.fail(s, fmt.Sprintf("server.%d gives another client address, %s", self.ID, listenAddress(self.ClientHost, self.ClientPort)), "the same, or neither here")
		}
		c.ClientPort, c.ClientPortAddress = self.ClientPort, self.ClientHost
	}
	if self.SecureClientPort != 0 && c.SecureClientPort == 0 {
		c.SecureClientPort, c.SecureClientPortAddress = self.SecureClientPort, self.SecureClientHost
	}
}

func (l *loader) checkPorts() {
	c := l.c
	for _, pair := range []struct {
		address, port string
		number        int
	}{{"clientPortAddress", "clientPort", c.ClientPort}, {"secureClientPortAddress", "secureClientPort", c.SecureClientPort}} {
		if s, ok := l.set(pair.address); ok && pair.number == 0 {
			l.fail(s, pair.port+" is missing", "with "+pair.port)
		}
	}
	if c.ClientPort == 0 && c.SecureClientPort == 0 {
		l.warn(l.whole(), "neither clientPort nor secureClientPort: no client can connect")
	}
	if c.ClientPort != 0 && c.ClientPort == c.SecureClientPort && c.ClientPortAddress == c.SecureClientPortAddress {
		s, _ := l.set("secureClientPort")
		l.fail(s, "the same port as clientPort", "another port, or client.portUnification=true with clientPort alone")
	}
	if s, ok := l.set("secureClientPort"); ok && c.SecureClientPort != 0 && c.TLS.KeyStore.Path == "" {
		l.fail(s, "TLS needs a key and a certificate", "with ssl.keyStore.location")
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
