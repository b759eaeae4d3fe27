package config

import (
	"slices"
	"strings"
)

// Kind is how the text of a value is read.
type Kind int

const (
	Text      Kind = iota
	Path           // a file or directory; relative ones count from the working directory
	Whole          // a whole number between Min and Max
	Decimal        // a number with a fraction
	Port           // 0 to 65535; 0 is off
	Strict         // true or false in any case, nothing else
	Lenient        // true in any case is true, all else is false
	UnlessNo       // "no" is false, all else is true
	OnlyYes        // "yes" is true, all else is false
	List           // separated by commas, blanks around entries dropped
	Choice         // one of Choices
	ClassName      // a Java class name that stands for something Zooid has built in
)

// Status says what Zooid does with a key.
type Status int

const (
	Used    Status = iota
	Ignored        // accepted; has no meaning in Zooid
	Later          // accepted; what it configures is not there yet
)

func (s Status) String() string {
	return [...]string{"used", "accepted and ignored", "not supported yet"}[s]
}

// Reach says from where ZooKeeper itself takes a key, which decides what wins (spec server-surface, 1.1 and 1.3).
type Reach int

const (
	FileOrFlag Reach = iota // a line K or the property zookeeper.K; the line wins
	FileOnly                // a line only; ZooKeeper has no such property
	FlagOnly                // the property K without prefix only; Zooid accepts a line too, and the property wins
)

// Key describes one key of zoo.cfg. The table of all keys is the only place that knows names, defaults and types.
type Key struct {
	Name    string   // as it works in a file
	Aliases []string // names that documentation gives but ZooKeeper never reads; Zooid reads them and says so
	Reach   Reach
	Bare    bool // FileOrFlag only: the property K without the prefix zookeeper. counts as well
	Kind    Kind
	Default string // as it would be written; "" is unset
	Derived string // how an unset value is computed, for people
	Unit    string
	Min     int64
	Max     int64 // 0: no bound of its own
	Floor   int64 // smaller values are raised to this, with a warning
	Choices []string
	Status  Status
	Until   string // Later only: what there is until then, for the warning
	Works   string // Later only: a value besides the default that does what it says
	Refuse  string // set: any value but the default is an error, this is the reason
	Secret  bool
	Group   string
	Doc     string

	field func(c *Config) any // *int, *int64, *float64, *bool, *string, *time.Duration, *[]string; nil if no code reads it
}

// Groups lists the groups of Keys in the order of help and docs.
var Groups = []string{"Paths and ports", "Sessions and limits", "Ensemble", "Storage and durability", "Throughput", "Security", "TLS", "Administration and metrics"}

// Keys is the table of all keys, in the order of help and docs. It must not be changed.
var Keys = slices.Concat(serverKeys, sessionKeys, ensembleKeys, storageKeys, throughputKeys, securityKeys, tlsKeys, adminKeys)

// keyByName finds a key by its name or one of its aliases.
var keyByName = func() map[string]*Key {
	out := map[string]*Key{}
	for i := range Keys {
		for _, name := range append([]string{Keys[i].Name}, Keys[i].Aliases...) {
			if _, twice := out[name]; twice {
				panic("config: key " + name + " is in the table twice")
			}
			out[name] = &Keys[i]
		}
	}
	return out
}()

// LookUp returns the key with this name or alias; the prefix zookeeper. is allowed.
func LookUp(name string) (Key, bool) {
	k, ok := keyByName[strings.TrimPrefix(name, "zookeeper.")]
	if !ok {
		return Key{}, false
	}
	return *k, true
}

// family is a set of keys that share a prefix and whose rest is free.
type family struct {
	prefix string
	Form   string
	Doc    string
	Status Status
}

// Families are the keys whose names are open-ended; they are not in Keys.
var Families = []family{
	{"server.", "server.N", "Member N of the ensemble: " + memberForm + ".", Used},
	{"group.", "group.N", "Hierarchical quorums: the servers of group N, as 1:2:3.", Used},
	{"weight.", "weight.N", "Hierarchical quorums: the votes of server N, 1 if not given.", Used},
	{"authProvider.", "authProvider.N", "An authentication scheme to add, by its ZooKeeper class name; digest, ip and x509 need no line.", Used},
	{"superUser.", "superUser.NAME", "A further SASL user with all rights, as superUser.", Used},
	{"plugin.", "plugin.KIND, plugin.KIND.OPTION", "The plugin of a layer, and its options; zooid help config KIND lists them.", Used},
}

func familyOf(name string) *family {
	for i := range Families {
		if rest, ok := strings.CutPrefix(name, Families[i].prefix); ok && rest != "" {
			return &Families[i]
		}
	}
	return nil
}

// names are all names that a message may suggest.
func names() []string {
	out := make([]string, 0, len(keyByName)+1)
	for name := range keyByName {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
