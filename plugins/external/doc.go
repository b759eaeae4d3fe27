// Package external will host plugins that run in processes of their own, with hashicorp/go-plugin.
//
// So far it holds the proof that the contract of a log store survives the border, in its tests: streamed_wire_test.go is the protocol, streamed_plugin_test.go
// and streamed_log_test.go are its ends, proof_test.go runs the conformance kit through it and kills the other process under load.
package external
