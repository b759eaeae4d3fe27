package config

import (
	"strings"
	"testing"
)

// The text shown to administrators is that of the file, without the secrets in it.
func TestSourceIsMasked(t *testing.T) {
	text := `dataDir=/data
# a comment
clientPort=2181
ssl.keyStore.password=one\
   two
zookeeper.DigestAuthenticationProvider.superDigest : super:three
#ssl.trustStore.password=four
! ssl.quorum.keyStore.password five
plugin.auth.x.token=six
tickTime=2000`
	c, err := Parse("zoo.cfg", strings.NewReader(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := `dataDir=/data
# a comment
clientPort=2181
ssl.keyStore.password=***
#
zookeeper.DigestAuthenticationProvider.superDigest=***
#ssl.trustStore.password=***
!ssl.quorum.keyStore.password=***
plugin.auth.x.token=***
tickTime=2000`
	if c.Source != strings.ReplaceAll(want, "***", mask) {
		t.Errorf("%s\nwant\n%s", c.Source, want)
	}
	if got, ok := c.Text(SourceText); !ok || got != c.Source {
		t.Errorf("%q, %v", got, ok)
	}
	if c, err := Default(nil); err != nil || c.Source != "" {
		t.Errorf("without a file: %q, %v", c.Source, err)
	}
}
