#!/usr/bin/env bash
# compare.sh [OP...]: Zooid against Apache ZooKeeper 3.8 on this machine, in one interleaved run.
#
# Both servers are started, each with its own data directory on the same disk, fsync on (the default of both). Then, for each OP, short rounds alternate:
# Apache, Zooid, Apache, Zooid ... after one round of each that does not count (the JVM compiles what is hot). Printed are the medians of the rounds and their ratio.
# All is taken down at the end.
#
# OP is any of: set create get (64 connections x 16 in flight, 128 bytes), connect (64 connections open and close sessions, one after the other), lone (set, one
# connection, one in flight; compared by median latency), mixed (90 gets to 10 sets, as get otherwise). Default: all but mixed, of an ensemble all but connect.
#
# With SERVERS=3 each side is an ensemble of three servers on this machine, and the connections are spread over them. A lone connection is measured at each server in turn,
# the leader among them, one a round: choose ROUNDS as a multiple of SERVERS. The median is over all.
#
# The load generator shares the machine with the servers. What it costs per operation is what the same run without --json prints as client CPU.
#
# Environment:
#   ROUNDS=4           rounds that count, of each server
#   DURATION=4s        how long one round measures; WARMUP=1s before it
#   PAUSE=1            seconds between rounds: what one server still does in the background is not the other's burden
#   SERVERS=1          servers of each side
#   CONNECTIONS=64 INFLIGHT=16 SIZE=128; with more than one server the connections are cut to a multiple of them
#   HEAP=2g            what each JVM may take; 512m by default with more than one server
#   ZOOID=path         the binary under test; built from this tree if unset. LOAD=path: the one that makes the load, by default the same
#   BASELINE=path      compare ZOOID with this other zooid binary instead of with Apache
#   ZOOID_ARGS=...     further arguments of zooid serve, for instance --pprof=127.0.0.1:6060
#   TMPDIR=/var/tmp    where the data directories are made; must be a disk
#   RAW=file           every round as a line of JSON is appended there
#
# Needs: bash, awk, java and Debian's packages zookeeper, libslf4j-java and libnetty-java (.ci/lib.sh installs them when they are missing).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export TMPDIR=${TMPDIR:-/var/tmp}
case $(stat -f -c %T "$TMPDIR") in
tmpfs | ramfs)
	echo "compare.sh: $TMPDIR is in memory; set TMPDIR to a directory on a disk" >&2
	exit 2
	;;
esac
# shellcheck source=../.ci/lib.sh
. "$here/../.ci/lib.sh" # gives $work, removed at the end, free_ports and need_*

servers=${SERVERS:-1}
rounds=${ROUNDS:-$((servers == 1 ? 4 : servers))} duration=${DURATION:-4s} warmup=${WARMUP:-1s} pause=${PAUSE:-1}
connections=$((${CONNECTIONS:-64} / servers * servers)) inflight=${INFLIGHT:-16} size=${SIZE:-128}
raw=${RAW:-$work/raw}
ops=("$@")
if [ ${#ops[@]} -eq 0 ]; then
	if [ "$servers" = 1 ]; then ops=(set create get lone connect); else ops=(set create get mixed lone); fi
fi
heap=${HEAP:-2g}
[ "$servers" = 1 ] || heap=${HEAP:-512m}

need_go
if [ -z "${ZOOID:-}" ]; then
	ZOOID=$work/zooid-under-test
	(cd "$root" && CGO_ENABLED=0 go build -o "$ZOOID" ./cmd/zooid)
fi
load=${LOAD:-$ZOOID}
other=apache
if [ -n "${BASELINE:-}" ]; then other=baseline; else need_apache; fi

declare -A pid address_of
halt() {
	local name
	for name in "${!pid[@]}"; do
		kill "${pid[$name]}" 2>/dev/null || true
		wait "${pid[$name]}" 2>/dev/null || true
	done
}
trap 'halt; cleanup' EXIT

# boot NAME COMMAND...: the servers of one side, on free ports, each with a directory of its own; the zoo.cfg is appended to the command.
boot() {
	local name=$1 ports members=() i dir
	shift
	ports=$(free_ports $((servers * 3))) # of clients, then two of peers, for each
	address_of[$name]=
	if [ "$servers" -gt 1 ]; then
		for ((i = 0; i < servers; i++)); do
			members+=("server.$((i + 1))=127.0.0.1:$((ports + i * 3 + 1)):$((ports + i * 3 + 2)):participant;127.0.0.1:$((ports + i * 3))")
		done
	else
		members=("clientPort=$ports" clientPortAddress=127.0.0.1)
	fi
	for ((i = 0; i < servers; i++)); do
		dir=$work/$name/$i
		mkdir -p "$dir/data"
		echo $((i + 1)) >"$dir/data/myid"
		printf '%s\n' "dataDir=$dir/data" tickTime=2000 initLimit=10 syncLimit=5 admin.enableServer=false maxClientCnxns=0 '4lw.commands.whitelist=*' "${members[@]}" >"$dir/zoo.cfg"
		"$@" "$dir/zoo.cfg" >"$dir/log" 2>&1 &
		pid[$name.$i]=$!
		address_of[$name]+=${address_of[$name]:+,}127.0.0.1:$((ports + i * 3))
	done
	for ((i = 0; i < servers; i++)); do
		serves "$name" "$i" "127.0.0.1:$((ports + i * 3))"
	done
}

# serves NAME I ADDRESS: waits until that server answers as one that serves.
serves() {
	address=$3
	for _ in {1..300}; do
		if [ "$(four_letters srvr 2>/dev/null | head -c 9)" = Zookeeper ]; then return; fi
		kill -0 "${pid[$1.$2]}" 2>/dev/null || break
		sleep 0.1
	done
	echo "compare.sh: $1 does not serve; its log:" >&2
	tail -n 30 "$work/$1/$2/log" >&2
	exit 1
}

# round NAME OP NUMBER: one round; prints the line of JSON with the server's name and the workload in front.
round() {
	local name=$1 op=$2 c=$connections f=$inflight line at=${address_of[$1]} each
	case $op in
	lone)
		IFS=, read -ra each <<<"$at"
		op=set c=1 f=1 at=${each[$3 % servers]}
		;;
	connect) f=1 ;;
	esac
	line=$("$load" bench run --server "$at" --op "$op" --connections "$c" --inflight "$f" --size "$size" --duration "$duration" --warmup "$warmup" --json)
	printf '{"server":"%s","workload":"%s",%s\n' "$name" "$2" "${line#\{}" | tee -a "$raw"
}

field() { sed -E "s/.*\"$1\":([0-9.e+-]+).*/\1/"; }
median() { sort -g | awk '{v[NR] = $1} END {print (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }

java_server() {
	exec "$JAVA_REAL" -Xmx"$heap" -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dfile.encoding=UTF-8 \
		-cp /usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar:/usr/share/java/netty-codec.jar:/usr/share/java/netty-resolver.jar:/usr/share/java/netty-transport-native-unix-common.jar \
		org.apache.zookeeper.server.quorum.QuorumPeerMain "$1"
}

# shellcheck disable=SC2086 # arguments are a list
boot zooid "$ZOOID" serve ${ZOOID_ARGS:-}
if [ "$other" = apache ]; then boot apache java_server; else boot baseline "$BASELINE" serve; fi

echo "servers: $servers, rounds: $rounds of $duration each, $(nproc) processors, data on $(stat -f -c %T "$work"), load before: $(cut -d' ' -f1-3 /proc/loadavg)"
printf '%-8s %12s %12s %7s   %s\n' op "$other" zooid ratio "p99 ms $other/zooid; every round, ops/s (lone: median ms)"
for op in "${ops[@]}"; do
	key=ops_per_s
	[ "$op" = lone ] && key=p50_ms
	for name in $other zooid; do round $name "$op" 0 >"$work/warm"; done
	: >"$work/$other.$op"
	: >"$work/zooid.$op"
	for ((i = 0; i < rounds; i++)); do
		for name in $other zooid; do
			sleep "$pause"
			round $name "$op" $i >>"$work/$name.$op"
		done
	done
	for name in $other zooid; do
		field $key <"$work/$name.$op" >"$work/$name.values"
		field p99_ms <"$work/$name.$op" | median >"$work/$name.p99"
		median <"$work/$name.values" >"$work/$name.median"
	done
	awk -v op="$op" -v a="$(cat "$work/$other.median")" -v z="$(cat "$work/zooid.median")" -v pa="$(cat "$work/$other.p99")" -v pz="$(cat "$work/zooid.p99")" \
		-v va="$(tr '\n' ' ' <"$work/$other.values")" -v vz="$(tr '\n' ' ' <"$work/zooid.values")" \
		'function short(s,  n, i, p, out) { n = split(s, p, " "); for (i = 1; i <= n; i++) out = out sprintf(p[i] < 100 ? " %.3f" : " %.0f", p[i]); return out }
		BEGIN { f = (op == "lone") ? "%-8s %12.3f %12.3f %7.2f" : "%-8s %12.0f %12.0f %7.2f"; printf f "   %.1f/%.1f; %s |%s\n", op, a, z, z / a, pa, pz, short(va), short(vz) }'
done
