// Package server puts a server together: it finds the plugins that a configuration names in the registry, checks their options and the manifest of
// the data directory, and gives the parts to a kernel.Node.
//
// It imports no plugin. Whoever builds a binary imports those it should have (cmd/zooid does so in one file).
// Files: server.go (life of a server), assemble.go (plugins by name), settings.go (what it needs from a configuration),
// fromconfig.go (settings from a zoo.cfg), stores.go (what it keeps on disk, and what it sets aside as damaged), changes.go (what follows from another
// configuration of the ensemble), survivor.go (the data of a stopped server, for a new ensemble).
package server
