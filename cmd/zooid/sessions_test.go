package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/wire"
)

// TestAnAdministratorEndsASession goes the whole way: the command line, a server process, and the client whose session is ended.
func TestAnAdministratorEndsASession(t *testing.T) {
	server := startProcess(t, t.TempDir(), "DigestAuthenticationProvider.superDigest=super:"+strings.TrimPrefix(wire.DigestID([]byte("super:secret")), "super:"))
	victim, err := dialRaw(server.addr, 0, nil, 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer victim.close()
	if _, h, err := victim.do(createRequest("/held", nil, wire.Ephemeral)); err != nil || h.Err != wire.ErrOK {
		t.Fatalf("create: %v %v", h.Err, err)
	}
	zooid := func(args ...string) (string, string, int) {
		var out, errOut bytes.Buffer
		code := run(context.Background(), append(args, "--server", server.addr), strings.NewReader(""), &out, &errOut)
		return out.String(), errOut.String(), code
	}
	id := fmt.Sprintf("0x%x", uint64(victim.session))

	if _, errText, code := zooid("sessions", "--auth", "super:wrong"); code != exitFailed || !strings.Contains(errText, "not permitted") {
		t.Errorf("without the right: exit %d, %s", code, errText)
	}
	list, errText, code := zooid("sessions", "--auth", "super:secret")
	if code != exitOK || !strings.Contains(list, id) || !strings.Contains(list, "         1  127.0.0.1:") {
		t.Fatalf("list: exit %d, %s%s", code, list, errText)
	}
	if _, errText, code := zooid("sessions", "end", "0x1234", "--auth", "super:secret"); code != exitFailed || !strings.Contains(errText, "unknown session") {
		t.Errorf("a session that is not there: exit %d, %s", code, errText)
	}
	if out, errText, code := zooid("sessions", "end", id, "--auth", "super:secret"); code != exitOK {
		t.Fatalf("end: exit %d, %s%s", code, out, errText)
	}

	if _, err := victim.frame(); err == nil {
		t.Error("the connection of the ended session got a frame instead of being closed")
	}
	var refused refusedError
	if again, err := dialRaw(server.addr, victim.session, victim.password, 30*time.Second); !errors.As(err, &refused) {
		t.Errorf("the ended session was taken up again (%v)", err)
		if again != nil {
			again.close()
		}
	}
	other, err := dialRaw(server.addr, 0, nil, 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	if _, h, err := other.do(getRequest("/held")); err != nil || h.Err != wire.ErrNoNode {
		t.Errorf("its ephemeral: %v %v", h.Err, err)
	}
}
