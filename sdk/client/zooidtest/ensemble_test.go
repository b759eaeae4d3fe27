package zooidtest_test

import (
	"testing"

	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/client/zooidtest"
)

func TestAnEnsembleServes(t *testing.T) {
	e := zooidtest.StartEnsemble(t, 3, 0, zooidtest.Set("tickTime", "500"))
	if e.Leader() == nil {
		t.Fatal("nobody leads")
	}
	for i, s := range e.Servers {
		c := dial(t, s, client.Options{})
		set(t, c, "/a", string(rune('1'+i)))
		for _, other := range e.Servers {
			reader := dial(t, other, client.Options{})
			if err := reader.Sync(within(t), "/a"); err != nil {
				t.Fatal(err)
			}
			if got := get(t, reader, "/a"); got != string(rune('1'+i)) {
				t.Errorf("server %s has %q after %d", other.Addr(), got, i+1)
			}
		}
	}
}
