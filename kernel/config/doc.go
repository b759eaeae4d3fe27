// Package config reads what configures a server: a zoo.cfg as it is, its dynamic file, myid and -D properties.
//
// The stages, each in a file of its own:
//
//   - properties.go reads Java .properties text into keys and values with line numbers.
//   - environment.go finds -D properties in SERVER_JVMFLAGS and JVMFLAGS.
//   - members.go and dynamic.go read the ensemble: server.N, group.N, weight.N.
//   - key.go and keys_*.go are the table of all keys: name, other names, type, default, unit, description. Parsing, help and docs are made from it.
//   - resolve.go decides which setting of a key counts; values.go turns text into typed fields.
//   - check.go holds the rules that span several keys and picks the start mode.
//   - effective.go lists every value with its origin, secrets masked; source.go is the text of the file, masked; text.go gives values to options of plugins.
//   - problem.go holds errors and warnings.
//
// Nothing here starts a goroutine or keeps state; a Config is read-only once it is returned and may then be shared.
package config
