# Sourced by run and by the client suites: tools, the server under test, free ports, temporary files.
# Callers set -eu; what is started here ends with the script that started it.

ci=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$ci")
export SERVER=${SERVER:-zooid}
# What is worth keeping from run to run: virtual environments, downloads. Nothing of it is needed.
cache=${ZOOID_CI_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/zooid-ci}
mkdir -p "$cache"

work=$(mktemp -d "${TMPDIR:-/tmp}/zooid-ci.XXXXXX")
export ZOOID_CI_PIDS=$work/pids
server_pid=
cleanup() {
	local pid
	stop_server
	# Servers that a harness has started and not ended. A number may belong to somebody else by now: the command line tells.
	if [ -e "$ZOOID_CI_PIDS" ]; then
		while read -r pid; do
			if grep -qsF "$work" "/proc/$pid/cmdline"; then kill -9 "$pid" 2>/dev/null || true; fi
		done <"$ZOOID_CI_PIDS"
	fi
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# need COMMAND PACKAGE... installs Debian packages unless the command is there.
need() {
	local command=$1
	shift
	command -v "$command" >/dev/null || apt_install "$@"
}

# need_file FILE PACKAGE... is need for what is not a command.
need_file() {
	local file=$1
	shift
	[ -e "$file" ] || apt_install "$@"
}

apt_install() {
	local as=
	[ "$(id -u)" = 0 ] || as=sudo
	echo "+ apt-get install $*"
	# Parts may run beside another apt-get, which holds the lock for a while.
	$as apt-get -qq -o DPkg::Lock::Timeout=300 update
	DEBIAN_FRONTEND=noninteractive $as apt-get -qq -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@" >/dev/null
}

# need_go: Debian's go is too old; any go since 1.21 fetches the version that go.mod names.
need_go() {
	export GOTOOLCHAIN=${GOTOOLCHAIN:-auto}
	# Modules come over TLS, and a bare Debian trusts nobody.
	if command -v apt-get >/dev/null; then
		need_file /etc/ssl/certs/ca-certificates.crt ca-certificates
	fi
	if command -v go >/dev/null; then
		return
	fi
	PATH=$PATH:/usr/local/go/bin:/usr/lib/go/bin
	command -v go >/dev/null || apt_install golang-go
	export PATH
	if go version | grep -qE 'go1\.(1[0-9]|20)(\.| )'; then
		echo "need_go: $(go version) cannot fetch the Go that go.mod names; install Go 1.21 or newer" >&2
		return 1
	fi
}

# The class path of Debian's ZooKeeper 3.8. Most of it is in the manifest of its jar; netty's parts that TLS needs are not, nor is a logging binding (to stderr).
apache38=$(cat "$ci/apache38.classpath")

need_apache() {
	need java default-jre-headless
	need_file /usr/share/java/zookeeper.jar zookeeper
	need_file /usr/share/java/slf4j-simple.jar libslf4j-java
	JAVA_REAL=${JAVA_REAL:-$(command -v java)}
	export JAVA_REAL
}

# need_apache39: sets $apache39, the class path of ZooKeeper 3.9 as .ci/peers/pom.xml pins it, from Maven Central.
need_apache39() {
	local dir
	need java default-jre-headless
	need mvn maven
	dir=$cache/zookeeper-3.9-$(sha256sum "$ci/peers/pom.xml" | cut -c1-16)
	if [ ! -e "$dir/ready" ]; then
		rm -rf "$dir"
		mkdir -p "$dir"
		if ! mvn --batch-mode --quiet --file "$ci/peers/pom.xml" dependency:copy-dependencies -DoutputDirectory="$dir" >"$work/mvn.log" 2>&1; then
			tail -n 40 "$work/mvn.log"
			return 1
		fi
		touch "$dir/ready"
	fi
	apache39=$dir/*
}

# required FILE NAME...: these tests must have passed. A renamed one would pass by not being there, one that skips itself by not running.
required() {
	local file=$1 name missing=
	shift
	for name in "$@"; do
		grep -q "^ *--- PASS: $name " "$file" || missing+=" $name"
	done
	if [ -n "$missing" ]; then
		echo "not passed:$missing" >&2
		return 1
	fi
}

# need_server makes the server under test ready: ZOOID names a fresh binary, or Apache's jars are there.
need_server() {
	case $SERVER in
	zooid)
		need_go
		if [ -z "${ZOOID:-}" ]; then
			export ZOOID=$work/zooid
			(cd "$root" && CGO_ENABLED=0 go build -o "$ZOOID" ./cmd/zooid)
		fi
		;;
	apache) need_apache ;;
	*)
		echo "SERVER=$SERVER is neither zooid nor apache" >&2
		return 1
		;;
	esac
}

# need_venv NAME: a virtual environment with what .ci/NAME/requirements.txt pins; sets $venv.
need_venv() {
	local requirements=$ci/$1/requirements.txt stamp
	need python3 python3 python3-venv
	python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install python3-venv
	stamp=$({ python3 -VV; cat "$requirements"; } | sha256sum | cut -c1-16)
	venv=$cache/venv-$1-$stamp
	if [ ! -e "$venv/ready" ]; then
		rm -rf "$venv"
		python3 -m venv "$venv"
		"$venv/bin/pip" --quiet --disable-pip-version-check install --requirement "$requirements"
		touch "$venv/ready"
	fi
}

# free_ports N: the first of N neighbouring ports below the range that the kernel hands out for outgoing connections, none in use.
free_ports() {
	local base port try
	for try in {1..50}; do
		base=$((15000 + (RANDOM * 7 + $$) % 15000))
		for ((port = base; port < base + $1; port++)); do
			if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
				continue 2
			fi
		done
		echo "$base"
		return
	done
	echo "free_ports: found none after $try tries" >&2
	return 1
}

# start_server [LINE...]: a lone server with these lines in its zoo.cfg; sets $address, $server_pid and $server_log.
start_server() {
	local dir port line
	dir=$(mktemp -d "$work/server.XXXXXX")
	port=$(free_ports 1)
	address=127.0.0.1:$port
	server_log=$dir/log
	{
		echo "dataDir=$dir/data"
		echo "clientPort=$port"
		echo "clientPortAddress=127.0.0.1"
		echo "admin.enableServer=false"
		echo "4lw.commands.whitelist=*"
		for line in "$@"; do echo "$line"; done
	} >"$dir/zoo.cfg"
	mkdir "$dir/data"
	"$ci/server" "$dir/zoo.cfg" >"$server_log" 2>&1 &
	server_pid=$!
	for _ in {1..150}; do
		if [ "$(four_letters srvr 2>/dev/null | head -c 9)" = Zookeeper ]; then
			return
		fi
		if ! kill -0 "$server_pid" 2>/dev/null; then
			break
		fi
		sleep 0.2
	done
	echo "start_server: $SERVER does not serve on $address; its log:" >&2
	tail -n 50 "$server_log" >&2
	return 1
}

stop_server() {
	[ -n "$server_pid" ] || return 0
	kill "$server_pid" 2>/dev/null || true
	wait "$server_pid" 2>/dev/null || true
	server_pid=
}

# four_letters WORD: what the server at $address answers.
four_letters() {
	(
		exec 3<>"/dev/tcp/${address%:*}/${address#*:}" || exit 1
		printf %s "$1" >&3
		timeout 5 cat <&3
	)
}
