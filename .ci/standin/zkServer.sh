#!/usr/bin/env bash
# Stands in for ZooKeeper's zkServer.sh: `zkServer.sh start-foreground zoo.cfg`, properties in SERVER_JVMFLAGS.
set -eu
if [ "$1" != start-foreground ]; then
	echo "zkServer.sh: this stand-in knows start-foreground only, not $1" >&2
	exit 2
fi
exec "$(dirname "$0")/../server" "$2"
