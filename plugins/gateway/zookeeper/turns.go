package zookeeper

import (
	"runtime"
	"time"
)

// A client that always has more to ask never lets its reader wait for the socket, and on few processors the Go runtime looks for other sockets only when it has nothing else to run, or
// every 10 ms. So after turnFrames frames without a wait the reader stands back for a moment: long enough for the runtime to look, and to run what it finds first.
const (
	turnFrames = 256
	turnPause  = 20 * time.Microsecond
)

func takeTurns() {
	time.Sleep(turnPause)
	runtime.Gosched() // behind those that were found meanwhile
}
