package zooidtest_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/client/zooidtest"
)

// command asks the admin server and decodes the answer.
func command(t *testing.T, s *zooidtest.Server, name string) map[string]any {
	t.Helper()
	_, text := httpGet(t, s.AdminURL()+"/commands/"+name)
	var body map[string]any
	if err := json.Unmarshal([]byte(text), &body); err != nil || body["error"] != nil {
		t.Fatalf("%s: %v\n%s", name, err, text)
	}
	return body
}

func zxidOf(t *testing.T, body map[string]any) kernel.Zxid {
	t.Helper()
	z, err := strconv.ParseUint(body["zxid"].(string), 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kernel.Zxid(z)
}

// last_snapshot is what a restart begins from: it follows the flushes of the node store, or the snapshots of a store that needs them.
func TestLastSnapshot(t *testing.T) {
	for name, options := range map[string][]zooidtest.Option{
		"flushes":   nil,
		"snapshots": {zooidtest.Set("plugin.nodes", "memory"), zooidtest.Set("snapCount", "2")},
	} {
		t.Run(name, func(t *testing.T) {
			s := zooidtest.Start(t, append(options, zooidtest.AdminHTTP(), zooidtest.Set("tickTime", "100"))...)
			c := dial(t, s, client.Options{})
			began := time.Now().Unix()
			for i := range 5 {
				set(t, c, "/a", fmt.Sprint(i))
			}
			reached := s.Host().Status().LastApplied
			if err := s.Host().Machine().Flush(within(t)); err != nil {
				t.Fatal(err)
			}
			var body map[string]any
			eventually(t, "a saved state with all writes", func() bool {
				body = command(t, s, "last_snapshot")
				return zxidOf(t, body) >= reached
			})
			if at := body["timestamp"].(float64); int64(at) < began-1 || int64(at) > time.Now().Unix()+1 {
				t.Errorf("%v", body)
			}
			s.Restart()
			eventually(t, "the state found at the start", func() bool {
				return zxidOf(t, command(t, s, "lsnp")) >= reached
			})
		})
	}
}

func TestInitialConfiguration(t *testing.T) {
	s := zooidtest.Start(t, zooidtest.AdminHTTP(), zooidtest.Set("tickTime", "1234"), zooidtest.Set("ssl.keyStore.password", "sesame"))
	text, _ := command(t, s, "initial_configuration")["initial_configuration"].(string)
	if !strings.Contains(text, "tickTime=1234\n") || strings.Contains(text, "sesame") {
		t.Error(text)
	}
}
