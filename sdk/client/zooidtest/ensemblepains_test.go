package zooidtest_test

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/client/zooidtest"
	"github.com/zooid-project/zooid/sdk/plugintest"
)

// A server whose disk is full refuses what its own clients write, with the reason, and is not ready. Clients of the others notice no more than a pause, also if it leads. With room it has everything
// again.
func TestPainOneFullDiskIsOneServersTrouble(t *testing.T) {
	t.Parallel()
	for role, id := range map[kernel.Role]kernel.ServerID{kernel.Following: 1, kernel.Leading: 3} { // between equals the highest id leads
		t.Run(role.String(), func(t *testing.T) {
			t.Parallel()
			disk := plugintest.NewDisk()
			e := zooidtest.StartEnsemble(t, 3, 0, append([]zooidtest.Option{zooidtest.On(id, zooidtest.OnFS(disk)), zooidtest.AdminHTTP()}, quick...)...)
			full := e.Servers[id-1]
			others := slices.DeleteFunc(slices.Clone(e.Servers), func(s *zooidtest.Server) bool { return s == full })
			if is := full.Host().Status().Role; is != role {
				t.Fatalf("it is %s", is)
			}
			reader, c := dial(t, full, client.Options{}), dial(t, others[0], client.Options{})
			set(t, c, "/full", "")
			disk.SetCapacity(disk.Used() + 256<<10)
			data := make([]byte, 16<<10)
			eventually(t, "its disk is full", func() bool {
				if _, err := c.Set(within(t), "/full", data, client.AnyVersion); err != nil {
					t.Fatalf("through another server: %v", err)
				}
				return refusing(full)()
			})
			if status, text := httpGet(t, full.AdminURL()+"/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(text, "not ready") {
				t.Errorf("readyz: %d %q", status, text)
			}
			w := write(t, others, 2, 2)
			w.progress(200)
			t.Logf("the longest write took %v", w.end())
			set(t, c, "/full", "the end")
			disk.SetCapacity(-1)
			eventually(t, "it serves again", func() bool {
				s := full.Host().Status()
				return s.Serving && s.Refusing == nil && s.LastApplied >= kernel.Zxid(c.LastZxid())
			})
			connected(t, reader)
			if got := get(t, reader, "/full"); got != "the end" {
				t.Errorf("it has %q", got)
			}
		})
	}
}

// Without a quorum nobody is served, and administrators are answered all the same: the process lives, so that nobody restarts it in vain, it is not ready, and it says why.
func TestPainAdministratorsAreAnsweredWithoutAQuorum(t *testing.T) {
	e := zooidtest.StartEnsemble(t, 3, 0, append([]zooidtest.Option{zooidtest.AdminHTTP(), zooidtest.Set("4lw.commands.whitelist", "*")}, quick...)...)
	lone := e.Leader()
	e.Isolate(lone)
	var status int
	var text string
	eventually(t, "the lone server is not ready", func() bool {
		status, text = httpGet(t, lone.AdminURL()+"/readyz")
		return status == http.StatusServiceUnavailable
	})
	if text != "not ready: this server serves no clients; it is looking\n" {
		t.Errorf("readyz: %q", text)
	}
	if status, text = httpGet(t, lone.AdminURL()+"/livez"); status != http.StatusOK || text != "ok\n" {
		t.Errorf("livez: %d %q", status, text)
	}
	if status, text = httpGet(t, lone.AdminURL()+"/commands/monitor"); status != http.StatusOK || !strings.Contains(text, "not currently serving requests") {
		t.Errorf("monitor: %d %q", status, text)
	}
	for word, want := range map[string]string{"ruok": "imok", "srvr": "not currently serving requests"} {
		if got := fourLetters(t, lone.Addr(), word); !strings.Contains(got, want) {
			t.Errorf("%s: %q", word, got)
		}
	}
	e.Rejoin(lone)
	eventually(t, "it is ready again", func() bool {
		status, _ = httpGet(t, lone.AdminURL()+"/readyz")
		return status == http.StatusOK
	})
}

// fourLetters asks the client port for a word.
func fourLetters(t *testing.T, address, word string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprint(conn, word); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	buffer := make([]byte, 4096)
	for {
		n, err := conn.Read(buffer)
		b.Write(buffer[:n])
		if err != nil {
			return b.String()
		}
	}
}
