package client

import (
	"strings"
	"testing"

	"github.com/zooid-project/zooid/sdk/wire"
)

func FuzzParseConnect(f *testing.F) {
	f.Add("127.0.0.1:2181,[::1]:2182/app")
	f.Add("a,,b:/x/")
	f.Fuzz(func(t *testing.T, connect string) {
		servers, chroot, err := parseConnect(connect)
		if err != nil {
			return
		}
		if len(servers) == 0 || (chroot != "" && (chroot == "/" || wire.ValidatePath(chroot) != nil)) {
			t.Fatalf("%q: %v %q", connect, servers, chroot)
		}
	})
}

func FuzzSASLChallenge(f *testing.F) {
	f.Add(`realm="zk-sasl-md5",nonce="abc",charset=utf-8,algorithm=md5-sess`)
	f.Add(`a="\\\",=,="`)
	f.Fuzz(func(t *testing.T, challenge string) {
		s := &SASLDigest{User: "u", Password: "p"}
		response, expect, err := s.respond(challenge, "c")
		if err == nil && (!strings.HasPrefix(expect, "rspauth=") || saslFields(response)["nonce"] != saslFields(challenge)["nonce"]) {
			t.Fatalf("%q: %q %q", challenge, response, expect)
		}
	})
}
