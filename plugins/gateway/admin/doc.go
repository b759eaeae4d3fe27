// Package admin is the gateway that administrators and monitoring reach over HTTP: the read-only commands of ZooKeeper's admin server as JSON, and /livez and /readyz.
//
// It shows what the node's other gateways and its state machine tell through sdk/inspect. Goroutines: one that accepts, and those of net/http for each connection, of which there is a bound.
//
// Files: plugin.go (options), server.go (listening, HTTP), commands.go and commands_*.go (what each command answers), health.go, json.go (the layout of answers).
package admin
