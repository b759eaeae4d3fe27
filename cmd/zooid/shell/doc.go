// Package shell is zooid shell: the commands of ZooKeeper's command line with the same spellings, output shapes and exit codes (spec server-surface, 5.1).
//
// Files: shell.go (a Shell, one command line), words.go (quotes), command.go (the table and the flags of a command), interactive.go (prompt, history, completion),
// read.go, write.go, watch.go, quota.go, ensemble.go and session.go (the commands), format.go (stat, ACL, errors, events), client.go (what a Shell needs of sdk/client).
//
// Goroutines: one per watch, which prints its events; Close ends them.
package shell
