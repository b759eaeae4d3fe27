package kernel_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zooid-project/zooid/kernel"
)

// Kinds that only these tests know: the registry lives as long as the process.
var (
	testKind      = kernel.Kind[int]{Name: "test-number"}
	testInProcess = kernel.Kind[int]{Name: "test-inside", InProcess: true}
)

var testOptions = []kernel.Option{
	{Key: "name", Type: kernel.TypeString, Default: "nobody", Config: "test.name"},
	{Key: "count", Type: kernel.TypeInt, Default: "3"},
	{Key: "fast", Type: kernel.TypeBool, Default: "false"},
	{Key: "cacheSize", Type: kernel.TypeBytes, Default: "2MiB"},
	{Key: "pause", Type: kernel.TypeDuration, Default: "250"},
	{Key: "colour", Type: kernel.TypeString, Default: "red", Allowed: []string{"red", "blue"}},
}

func number(n int) kernel.Factory[int] {
	return kernel.Factory[int]{Doc: "a number", Format: n, Options: testOptions, New: func(kernel.Env, kernel.Options) (int, error) { return n, nil }}
}

func init() {
	kernel.Register(testKind, "one", number(1))
	kernel.Register(testKind, "seven", number(7))
	kernel.Register(testInProcess, "one", number(1))
}

// panics returns what f panics with.
func panics(t *testing.T, f func()) (text string) {
	t.Helper()
	defer func() {
		r := recover()
		if r == nil {
			t.Error("it does not panic")
			return
		}
		text, _ = r.(string)
	}()
	f()
	return ""
}

func TestLookup(t *testing.T) {
	f, err := kernel.Lookup(testKind, "seven")
	if err != nil || f.Format != 7 {
		t.Fatalf("%+v, %v", f, err)
	}
	if n, err := f.New(kernel.Env{}, kernel.Options{}); n != 7 || err != nil {
		t.Errorf("the factory of seven makes %d, %v", n, err)
	}
	for _, c := range []struct{ name, nearest string }{{"sevne", "seven"}, {"ONE", "one"}, {"nothingLikeIt", ""}, {"", ""}, {"exec:/bin/true", ""}} {
		var unknown *kernel.UnknownError
		if _, err := kernel.Lookup(testKind, c.name); !errors.As(err, &unknown) {
			t.Errorf("%q: %v", c.name, err)
			continue
		}
		if unknown.Nearest != c.nearest || !slices.Equal(unknown.Known, []string{"one", "seven"}) {
			t.Errorf("%q: %+v", c.name, unknown)
		}
		text := unknown.Error()
		if !strings.Contains(text, c.name+": no such test-number plugin. This build has: one, seven.") || strings.Contains(text, "Did you mean") != (c.nearest != "") || !strings.Contains(text, c.nearest) {
			t.Errorf("%q: %s", c.name, text)
		}
	}
	if _, err := kernel.Lookup(testInProcess, "exec:/bin/true"); err == nil || !strings.Contains(err.Error(), "exec:/bin/true: plugins of kind test-inside run inside the server's process") {
		t.Errorf("a program for a kind that runs inside: %v", err)
	}
	if _, err := kernel.Lookup(kernel.Kind[int]{Name: "test-empty"}, "one"); err == nil || !strings.Contains(err.Error(), "This build has none.") {
		t.Errorf("a kind without plugins: %v", err)
	}
}

func TestRegisterRefuses(t *testing.T) {
	for about, c := range map[string]struct {
		register func()
		want     string
	}{
		"a name twice":       {func() { kernel.Register(testKind, "one", number(2)) }, "test-number plugin one is registered twice"},
		"no name":            {func() { kernel.Register(testKind, "", number(2)) }, "without a name or a factory"},
		"nothing that makes": {func() { kernel.Register(testKind, "two", kernel.Factory[int]{}) }, "without a name or a factory"},
	} {
		if text := panics(t, c.register); !strings.Contains(text, c.want) {
			t.Errorf("%s: %q, want %q", about, text, c.want)
		}
	}
	if f, err := kernel.Lookup(testKind, "one"); err != nil || f.Format != 1 {
		t.Errorf("what was registered first has been replaced: %+v, %v", f, err)
	}
}

// Plugins are listed in an order that does not depend on the order of registration, for help texts.
func TestPlugins(t *testing.T) {
	var ours []string
	for _, p := range kernel.Plugins() {
		if strings.HasPrefix(p.Kind, "test-") {
			ours = append(ours, p.Kind+"/"+p.Name)
			if p.Doc != "a number" || len(p.Options) != len(testOptions) {
				t.Errorf("%+v", p)
			}
		}
	}
	if want := []string{"test-inside/one", "test-number/one", "test-number/seven"}; !slices.Equal(ours, want) {
		t.Errorf("%v, want %v", ours, want)
	}
}

func TestOptions(t *testing.T) {
	zooCfg := func(key string) (string, bool) { return "of the file", key == "test.name" }
	o, err := kernel.NewOptions("test-number", "one", testOptions, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if o.String("name") != "nobody" || o.Int("count") != 3 || o.Bool("fast") || o.Bytes("cacheSize") != 2<<20 || o.Duration("pause") != 250*time.Millisecond || o.String("colour") != "red" {
		t.Errorf("the defaults are read as %q %d %v %d %v %q", o.String("name"), o.Int("count"), o.Bool("fast"), o.Bytes("cacheSize"), o.Duration("pause"), o.String("colour"))
	}
	given := map[string]string{"count": "-4", "fast": "TRUE", "cacheSize": "1 GiB", "pause": "1m30s", "colour": "blue"}
	if o, err = kernel.NewOptions("test-number", "one", testOptions, given, zooCfg); err != nil {
		t.Fatal(err)
	}
	if o.String("name") != "of the file" || o.Int("count") != -4 || !o.Bool("fast") || o.Bytes("cacheSize") != 1<<30 || o.Duration("pause") != 90*time.Second || o.String("colour") != "blue" {
		t.Errorf("what was given is read as %q %d %v %d %v %q", o.String("name"), o.Int("count"), o.Bool("fast"), o.Bytes("cacheSize"), o.Duration("pause"), o.String("colour"))
	}
	if o, err = kernel.NewOptions("test-number", "one", testOptions, map[string]string{"name": "given"}, zooCfg); err != nil || o.String("name") != "given" {
		t.Errorf("plugin.KIND.OPTION comes before zoo.cfg's own key: %v", err)
	}
	for _, get := range []func(){func() { o.Int("name") }, func() { _ = o.String("count") }, func() { o.Bool("absent") }} {
		if text := panics(t, get); !strings.Contains(text, "was not declared as") {
			t.Errorf("a getter that does not fit the declaration: %q", text)
		}
	}
}

func TestOptionErrors(t *testing.T) {
	for _, c := range []struct{ key, value, want string }{
		{"count", "many", `"many" is not allowed: want integer`},
		{"count", "", `"" is not allowed: want integer`},
		{"count", "9223372036854775808", "want integer"},
		{"fast", "yes", "want true or false"},
		{"cacheSize", "2MB", "want bytes (KiB, MiB, GiB)"},
		{"cacheSize", "9000000000GiB", "want bytes"},
		{"pause", "soon", "want duration (ms without a unit)"},
		{"colour", "green", `"green" is not allowed: want one of red, blue`},
	} {
		_, err := kernel.NewOptions("test-number", "one", testOptions, map[string]string{c.key: c.value}, nil)
		var wrong *kernel.OptionError
		if !errors.As(err, &wrong) || wrong.Key != c.key || errors.Unwrap(err) == nil {
			t.Errorf("%s=%s: %v", c.key, c.value, err)
			continue
		}
		if want := "plugin.test-number." + c.key + " (plugin one): "; !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s=%s: %v, want %s...%s", c.key, c.value, err, want, c.want)
		}
	}
	_, err := kernel.NewOptions("test-number", "one", testOptions, map[string]string{"cachesize": "1"}, nil)
	if want := "cachesize: no such option of test-number plugin one. This build has: cacheSize, colour, count, fast, name, pause. Did you mean cacheSize?"; err == nil || err.Error() != want {
		t.Errorf("an unknown option: %v, want %s", err, want)
	}
	// A value that comes from zoo.cfg's own key is checked as well.
	declared := []kernel.Option{{Key: "count", Type: kernel.TypeInt, Default: "1", Config: "test.count"}}
	if _, err := kernel.NewOptions("test-number", "one", declared, nil, func(string) (string, bool) { return "x", true }); err == nil {
		t.Error("a value of zoo.cfg that is no number was accepted")
	}
}
