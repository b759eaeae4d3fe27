package sasl

import "testing"

func TestAuthorizationID(t *testing.T) {
	for _, c := range []struct {
		name  string
		rules NameRules
		id    string
		valid bool
	}{
		{"bob", NameRules{}, "bob", true},
		{"", NameRules{}, "", true},
		{"a/b/c", NameRules{true, true}, "a/b/c", true}, // without a realm it is one word
		{"zk/host@REALM", NameRules{}, "zk/host@REALM", true},
		{"zk/host@REALM", NameRules{RemoveHost: true}, "zk@REALM", true},
		{"zk/host@REALM", NameRules{RemoveRealm: true}, "zk/host", true},
		{"zk/host@REALM", NameRules{true, true}, "zk", true},
		{"zk@REALM", NameRules{true, true}, "zk", true},
		{"@", NameRules{}, "@", true},
		{"zk/@R", NameRules{}, "zk/@R", true},
		{"a@b@c", NameRules{}, "", false},
		{"a/b/c@R", NameRules{}, "", false},
		{"a@b/c", NameRules{}, "", false},
	} {
		id, err := c.rules.AuthorizationID(c.name)
		if id != c.id || (err == nil) != c.valid {
			t.Errorf("%q with %+v: %q, %v; want %q, valid %v", c.name, c.rules, id, err, c.id, c.valid)
		}
	}
}
