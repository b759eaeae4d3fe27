//go:build unix

package main

import (
	"os"
	"os/exec"
	"syscall"
)

// detach keeps a terminal's interrupt from reaching the server: it is ended by its ensemble, cleanly.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func pauseProcess(p *os.Process) error { return p.Signal(syscall.SIGSTOP) }

func resumeProcess(p *os.Process) error { return p.Signal(syscall.SIGCONT) }
