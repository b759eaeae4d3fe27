//go:build !unix

package main

import (
	"errors"
	"os"
	"os/exec"
)

var errCannotPause = errors.New("this system cannot pause a process")

func detach(*exec.Cmd) {}

func pauseProcess(*os.Process) error { return errCannotPause }

func resumeProcess(*os.Process) error { return errCannotPause }
