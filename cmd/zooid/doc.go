// Command zooid is the one binary: server, shell, benchmark and tools.
//
// main.go builds the command tree from small functions, newXxxCommand, each in the file of its command; exit.go has the exit codes; plugins.go imports the plugins of this distribution.
package main
