package main

// Exit codes. They are documented in the help of zooid and must not change their meaning; 0 to 3 are ZooKeeper's, 127 is zkCli's (spec server-surface, 5.1 and 7.4).
const (
	exitOK             = 0
	exitFailed         = 1   // the command ran and failed
	exitUsage          = 2   // wrong arguments or configuration; nothing was started
	exitData           = 3   // the data directory cannot be used
	exitUnknownCommand = 127 // zooid shell: no such command
)

const exitCodes = `0 done, 1 failed, 2 wrong arguments or configuration, 3 data directory cannot be used, 127 no such command in the shell.`

// exitError is an error that sets the exit code. Without err nothing is printed: it has been said already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return "failed"
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }
