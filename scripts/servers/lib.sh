# What the scripts of the servers share; sourced, not run.
#
# A server is one file beside this one. `scripts/servers/NAME up DIR` installs what it needs from the
# registries, starts it on 127.0.0.1 and a free port with its data in DIR, waits until it answers,
# asserts that it rejects a bad secret, and prints one line on stdout:
#
#     {"url": "http://127.0.0.1:5110", ...}
#
# which the tests read from HOLDALL_SERVER_NAME (upper case, `-` as `_`). Everything else goes to
# stderr or into DIR. `down DIR` ends what `up` has started, by its process ids, and nothing else.
set -euo pipefail

# Tools that are built or downloaded once, outside of any clone.
tools=${HOLDALL_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/holdall-tools}
mkdir -p "$tools"

say() { echo "$(basename "$0"): $*" >&2; }

fail() { say "$*"; exit 1; }

# apt_get PACKAGE...: those that are missing, from Debian. The list of packages is fetched once a day.
apt_get() {
  local missing=()
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return
  [ "$(id -u)" = 0 ] || fail "needs ${missing[*]}: apt-get install them, or run this as root"
  say "installs ${missing[*]}"
  (
    exec 9>"$tools/apt.lock"
    flock 9
    if [ -z "$(find "$tools/apt.updated" -mtime -1 2>/dev/null)" ]; then
      apt-get -o DPkg::Lock::Timeout=300 update >&2
      touch "$tools/apt.updated"
    fi
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${missing[@]}" >&2
  )
}

# cargo_get CRATE VERSION BINARY [FLAG...]: prints the path of a tool built from crates.io.
cargo_get() {
  local crate=$1 version=$2 binary=$3 root="$tools/$1-$2"
  shift 3
  (
    exec 9>"$tools/$crate.lock"
    flock 9
    if [ ! -x "$root/bin/$binary" ]; then
      say "builds $crate $version (once, some minutes)"
      # Outside of the clone, whose target folder and settings are none of its business.
      cd "$tools"
      env -u CARGO_TARGET_DIR -u RUSTFLAGS cargo install "$crate" --version "$version" --locked --root "$root" "$@" >&2
    fi
  ) || fail "$crate $version cannot be built"
  echo "$root/bin/$binary"
}

# python_get PACKAGE...: prints the path of an environment that has them.
python_get() {
  local root
  root="$tools/python-$(printf '%s\n' "$@" | sha256sum | cut -c1-12)"
  (
    exec 9>"$root.lock"
    flock 9
    if [ ! -e "$root/complete" ]; then
      apt_get python3-venv
      say "installs $* (pip)"
      python3 -m venv "$root" >&2 && "$root/bin/pip" install --quiet "$@" >&2 && touch "$root/complete"
    fi
  ) || fail "pip does not install $*"
  echo "$root"
}

# npm_get PACKAGE@VERSION...: prints the path of a folder whose node_modules has them.
npm_get() {
  local root
  root="$tools/npm-$(printf '%s\n' "$@" | sha256sum | cut -c1-12)"
  (
    exec 9>"$root.lock"
    flock 9
    if [ ! -e "$root/complete" ]; then
      command -v npm >/dev/null || apt_get nodejs npm
      say "installs $* (npm)"
      mkdir -p "$root" && cd "$root" && npm install --silent --no-audit --no-fund "$@" >&2 && touch "$root/complete"
    fi
  ) || fail "npm does not install $*"
  echo "$root"
}

# A free port. Another process may take it before the server does; then `up` fails and says so.
free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# started DIR PID: one more process for `down`.
started() { echo "$2" >>"$1/pids"; }

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
  local until=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $until ] || return 1
    sleep 0.2
  done
}

# end DIR: the processes of this DIR, the last started first.
end() {
  [ -e "$1/pids" ] || return 0
  local pid
  for pid in $(tac "$1/pids"); do
    kill "$pid" 2>/dev/null || continue
    wait_for 10 not_running "$pid" || kill -9 "$pid" 2>/dev/null || true
  done
  rm -f "$1/pids"
}

not_running() { ! kill -0 "$1" 2>/dev/null; }

# s3_status KEY:SECRET METHOD URL [REGION]: the status of a signed request without a body.
s3_status() {
  local empty=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
  curl -s -o /dev/null -w '%{http_code}' --aws-sigv4 "aws:amz:${4:-us-east-1}:s3" -u "$1" \
    -H "x-amz-content-sha256: $empty" -X "$2" "$3"
}

# main NAME...: the command line of a server, whose file defines `up` (and `down`, if `end` is not enough).
main() {
  case "${1:-} ${2:-}" in
    "up "?*) mkdir -p "$2" && up "$(realpath "$2")" ;;
    "down "?*) if declare -F down >/dev/null; then down "$(realpath "$2")"; else end "$(realpath "$2")"; fi ;;
    *) echo "usage: $0 up DIR | down DIR" >&2; exit 2 ;;
  esac
}
