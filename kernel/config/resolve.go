package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/zooid-project/zooid/kernel"
)

// setting is one value as somebody wrote it.
type setting struct {
	name, value string
	origin      Origin
	as          string // how the name was written, if that differs from name
	secret      bool
}

func (s setting) written() string {
	if s.as != "" {
		return s.as
	}
	return s.name
}

// mask stands for the value of a secret.
const mask = "********"

// shown is the value as messages and listings may print it.
func (s setting) shown() string {
	if s.value != "" && (s.secret || secretName(s.name)) {
		return mask
	}
	return s.value
}

// secretName also covers keys that the table does not know: a plugin's options, typing errors in known secrets.
func secretName(name string) bool {
	if k, ok := keyByName[name]; ok {
		return k.Secret
	}
	lower := strings.ToLower(name)
	for _, word := range []string{"password", "passwd", "secret", "superdigest", "token", "credential", "privatekey"} {
		if strings.Contains(lower, word) && !strings.HasSuffix(lower, "path") && !strings.HasPrefix(lower, "connection_") {
			return true
		}
	}
	return false
}

// resolve decides for each key which of its settings counts, and returns the membership lines of the file (spec server-surface, 1.1).
// A line beats a flag, a later line an earlier one; of flags, those in JVMFLAGS beat SERVER_JVMFLAGS. Keys that ZooKeeper takes from a flag only are the exception: the flag wins.
func (l *loader) resolve(lines, flags []setting) (membership []setting) {
	for _, s := range flags {
		l.takeFlag(s)
	}
	seen := map[string]setting{}
	for _, s := range lines {
		s.as = s.name
		if s.name == "" {
			l.fail(s, "a value without a key", "key=value")
			continue
		}
		if bare, prefixed := strings.CutPrefix(s.name, "zookeeper."); prefixed {
			s.name = bare
		}
		k, known := keyByName[s.name]
		if known {
			s.name, s.secret = k.Name, k.Secret
		}
		if before, twice := seen[s.name]; twice && before.value != s.value {
			l.warn(before, "line "+fmt.Sprint(s.origin.Line)+" sets this again and wins")
		}
		seen[s.name] = s
		if !known && membershipPrefix(s.name) != "" {
			membership = append(membership, s)
			continue
		}
		if known {
			if flag, both := l.c.settings[k.Name]; both && k.Reach == FlagOnly && flag.origin.Kind == FromFlag {
				if flag.value != s.value {
					l.warn(s, "ignored, because "+flag.origin.String()+" sets "+flag.shown()+" and ZooKeeper reads this one from flags only")
				}
				continue
			}
			l.remarkOnName(s, k)
		} else if familyOf(s.name) == nil {
			l.warn(s, "unknown key, ignored as ZooKeeper does"+didYouMean(s.name))
		}
		l.c.settings[s.name] = s
	}
	return slices.DeleteFunc(membership, func(s setting) bool { return seen[s.name].origin != s.origin })
}

// takeFlag stores a -D property if it means anything to ZooKeeper. Others belong to the Java machine and are passed over in silence.
func (l *loader) takeFlag(s setting) {
	s.as = s.name
	name, prefixed := strings.CutPrefix(s.name, "zookeeper.")
	k, known := keyByName[name]
	switch {
	case known && k.Reach == FileOnly:
		if prefixed {
			l.warn(s, "ignored as ZooKeeper does: only a line in the file sets "+k.Name)
		}
		return
	case known && (prefixed || k.Reach == FlagOnly || k.Bare):
		s.name, s.secret = k.Name, k.Secret
		l.remarkOnName(s, k)
	case prefixed && familyOf(name) != nil && membershipPrefix(name) == "":
		s.name = name
	case prefixed && !known:
		l.warn(s, "unknown property, ignored as ZooKeeper does"+didYouMean(name))
		return
	default:
		return
	}
	l.c.settings[s.name] = s
}

// remarkOnName warns where Zooid reads what ZooKeeper would not.
func (l *loader) remarkOnName(s setting, k *Key) {
	bare := strings.TrimPrefix(s.as, "zookeeper.")
	switch {
	case bare != k.Name && slices.Contains(k.Aliases, bare) && bare != "observer.syncEnabled":
		l.warn(s, "read as "+k.Name+"; ZooKeeper's guide gives this name, but ZooKeeper never reads it")
	case s.origin.Kind == FromFile && k.Reach == FlagOnly:
		l.warn(s, "taken from the file; ZooKeeper takes it from -D"+k.Name+" in SERVER_JVMFLAGS only")
	case s.origin.Kind == FromFile && strings.HasPrefix(s.as, "zookeeper."):
		l.warn(s, "read as "+k.Name+"; in a file ZooKeeper knows that name only")
	}
}

// remarkOnStatus warns about keys that were set and do nothing. What concerns an ensemble does nothing for a server that runs alone, in ZooKeeper either, and is passed over.
func (l *loader) remarkOnStatus() {
	for i := range Keys {
		k := &Keys[i]
		s, set := l.c.settings[k.Name]
		if !set || s.value == k.Default || k.Works != "" && s.value == k.Works || l.c.Mode == Standalone && aboutPeers(k) {
			continue
		}
		switch k.Status {
		case Later:
			what := "not supported yet, so it has no effect"
			if k.Until != "" {
				what += ". " + k.Until
			}
			l.warn(s, what)
		case Ignored:
			l.warn(s, "has no effect in Zooid. "+k.Doc)
		}
	}
}

func aboutPeers(k *Key) bool {
	return k.Group == "Ensemble" || strings.HasPrefix(k.Name, "ssl.quorum.") || k.Name == "sslQuorum" || k.Name == "portUnification" || k.Name == "sslQuorumReloadCertFiles"
}

func didYouMean(name string) string {
	if near := kernel.Nearest(name, names()); near != "" {
		return ". Did you mean " + near + "?"
	}
	return ""
}
