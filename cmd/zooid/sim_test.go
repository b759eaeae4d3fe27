package main

import (
	"regexp"
	"strings"
	"testing"
)

func TestSim(t *testing.T) {
	code, out, _ := zooid(t, "sim", "--seeds", "2", "--seed", "7")
	if code != 0 || !strings.HasPrefix(out, "2 seeds, ") || !strings.Contains(out, "elections") {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	code, out, errOut := zooid(t, "sim", "--bug", "commit-without-quorum", "--seeds", "2")
	if code != 1 || !strings.Contains(errOut, "2 of 2 seeds failed") {
		t.Fatalf("exit code %d, %s", code, errOut)
	}
	again := regexp.MustCompile(`zooid (sim --seed 1 --bug commit-without-quorum --trace)`).FindStringSubmatch(out)
	if again == nil {
		t.Fatalf("it is not said how to see it again:\n%s", out)
	}
	code, out, _ = zooid(t, strings.Fields(again[1])...)
	if code != 1 || !strings.Contains(out, "VIOLATION") || !strings.Contains(out, "leads epoch 1") {
		t.Fatalf("exit code %d, %d bytes of trace", code, len(out))
	}
	for args, want := range map[string]string{
		"--bug stale-snc":   "Did you mean stale-sync?",
		"--seeds 0":         "want at least 1",
		"--seeds 2 --trace": "--trace prints one seed",
		"--seed -1":         "invalid argument",
		"--bug list":        "",
	} {
		code, out, errOut := zooid(t, append([]string{"sim"}, strings.Fields(args)...)...)
		switch {
		case want == "" && (code != 0 || !strings.Contains(out, "vote-from-memory")):
			t.Errorf("sim %s: exit code %d, %s", args, code, out)
		case want != "" && (code != 2 || !strings.Contains(errOut, want)):
			t.Errorf("sim %s: exit code %d, %s; want %s", args, code, errOut, want)
		}
	}
}
