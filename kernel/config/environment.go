package config

import "strings"

// flagVariables are the variables whose -D properties count, in the order in which the start script of ZooKeeper hands them to Java: the last one wins.
var flagVariables = []string{"SERVER_JVMFLAGS", "JVMFLAGS"}

// environmentSettings returns the settings that the environment makes, weakest first. env is as from os.Environ.
// Flags are split at white space and quotes are ordinary characters, which is what an unquoted shell variable does.
func environmentSettings(env []string) []setting {
	var out []setting
	for _, name := range flagVariables {
		value, ok := lookupEnv(env, name)
		if !ok {
			continue
		}
		for _, word := range strings.Fields(value) {
			text, isProperty := strings.CutPrefix(word, "-D")
			if !isProperty || text == "" {
				continue
			}
			key, v, _ := strings.Cut(text, "=")
			out = append(out, setting{name: key, value: strings.TrimSpace(v), origin: Origin{Kind: FromFlag, Name: name, Property: key}})
		}
	}
	if v, ok := lookupEnv(env, "ZOO_DATADIR_AUTOCREATE_DISABLE"); ok && v != "" {
		out = append(out, setting{name: "zookeeper.datadir.autocreate", value: "false", origin: Origin{Kind: FromEnvironment, Name: "ZOO_DATADIR_AUTOCREATE_DISABLE"}})
	}
	return out
}

// lookupEnv takes the last entry of a name, as a process would see it.
func lookupEnv(env []string, name string) (string, bool) {
	for i := len(env) - 1; i >= 0; i-- {
		if key, value, ok := strings.Cut(env[i], "="); ok && key == name {
			return value, true
		}
	}
	return "", false
}
