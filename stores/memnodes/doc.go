// Package memnodes is the NodeStore in memory: an ordered map whose views are copies on write. Nothing survives the process.
//
// One mutex guards the map; views and readers are independent of it once made. There are no goroutines.
package memnodes
