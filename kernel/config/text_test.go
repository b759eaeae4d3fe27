package config

import (
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	c, err := Parse("zoo.cfg", strings.NewReader("dataDir=/absent\nsecureClientPort=2281\nssl.keyStore.location=/k\ntickTime=2000\nsuperUser=b\nsuperUser.2=a\nskipACL=yes\nforceSync=no\nenforceQuota=yes\n"+
		"standaloneEnabled=TRUE\nreadonlymode.enabled=true\nzookeeper.snapCount=7\nunknown=1\n"+
		"authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"clientPort": "-1", "secureClientPort": "2281", "clientPortAddress": "", "minSessionTimeout": "4000", "maxSessionTimeout": "40000", "superUser": "a,b",
		"skipACL": "yes", "forceSync": "false", "leaderServes": "true", "enforceQuota": "false", "standaloneEnabled": "true", "4lw.commands.whitelist": "srvr,isro",
		"snapCount": "7", "jute.maxbuffer": "1048575", "ssl.keyStore.location": "/k", "unknown": "1", "authProvider": "sasl",
	} {
		if got, ok := c.Text(key); !ok || got != want {
			t.Errorf("%s: %q %v, want %q", key, got, ok, want)
		}
	}
	for _, key := range []string{"ssl.trustStore.location", "nothing"} {
		if got, ok := c.Text(key); ok {
			t.Errorf("%s: %q", key, got)
		}
	}
	c, err = Parse("zoo.cfg", strings.NewReader("dataDir=/absent\nserver.7=h:1:2;10.0.0.1:2182\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	port, _ := c.Text("clientPort")
	if address, _ := c.Text("clientPortAddress"); port != "2182" || address != "10.0.0.1" {
		t.Errorf("%s %s, want the client part of the own server line", address, port)
	}
}
