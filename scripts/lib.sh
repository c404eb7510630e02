# Shared by the scripts beside it: says what is missing, or installs it.
# shellcheck shell=bash

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C
# Only these programs look into a system folder that an ordinary PATH leaves out.
export PATH="$PATH:/usr/sbin:/sbin:/usr/local/go/bin"
# The version is stamped by scripts/build; a clone that belongs to another user must build too.
export GOFLAGS="${GOFLAGS:+$GOFLAGS }-buildvcs=false"

say() { printf '%s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

# has PROGRAM: is it there? initdb stands outside of PATH on Debian, and
# net-ssleay is the Perl module without which swaks knows no TLS.
has() {
  case $1 in
  net-ssleay) perl -MNet::SSLeay -e 1 2>/dev/null ;;
  initdb) compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null ;;
  *) command -v "$1" >/dev/null ;;
  esac
}

# need PROGRAM=PACKAGE…: each program, from Debian's package if it is missing.
need() {
  local pair missing=()
  for pair in "$@"; do
    has "${pair%%=*}" || missing+=("${pair#*=}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  install_packages "${missing[@]}"
  for pair in "$@"; do
    has "${pair%%=*}" || die "${pair%%=*} is still missing after installing Debian's package ${pair#*=}."
  done
}

install_packages() {
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    die "Missing: $*. Install them (Debian: sudo apt install $*) and run this again."
  fi
  say "Installing: $*"
  # Postfix is wanted for its programs only; the tests start their own.
  if command -v debconf-set-selections >/dev/null; then
    echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
  fi
  local apt=(env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq -o Dpkg::Use-Pty=0)
  "${apt[@]}" install --no-install-recommends -y "$@" </dev/null >&2 ||
    { "${apt[@]}" update </dev/null >&2 && "${apt[@]}" install --no-install-recommends -y "$@" </dev/null >&2; } ||
    die "apt could not install: $*."
}

# at_least WANTED FOUND: compares dotted numbers.
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

need_go() {
  local wanted found
  wanted=$(awk '$1 == "go" { print $2 }' go.mod)
  command -v go >/dev/null || die "Go $wanted or later is missing. Debian's package is too old: unpack https://go.dev/dl/ into /usr/local/go and run this again."
  found=$(GOTOOLCHAIN=local go env GOVERSION)
  at_least "$wanted" "${found#go}" || [ "$(go env GOTOOLCHAIN)" != local ] ||
    die "Go $wanted or later is needed, and this is ${found#go}. Unpack https://go.dev/dl/ into /usr/local/go and run this again."
}

need_node() {
  local wanted=20.19
  need node=nodejs npm=npm
  at_least "$wanted" "$(node --version | tr -d v)" ||
    die "Node $wanted or later is needed to build the console, and this is $(node --version). See https://nodejs.org/en/download and run this again."
}

# npm_install FOLDER: exactly what package-lock.json says, and only if it is not
# there yet. npm ci refuses a lock that lacks an optional package of another
# platform, and some registries lack them; npm install keeps to the lock too and
# leaves out what cannot be had.
npm_install() {
  local stamp="$1/node_modules/.mailvow-lock" quiet=(--no-audit --no-fund --loglevel=error)
  if ! cmp -s "$1/package-lock.json" "$stamp"; then
    (
      cd "$1"
      export PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1
      npm ci "${quiet[@]}" 2>/dev/null || npm install --no-save "${quiet[@]}"
    ) </dev/null >&2
    cp "$1/package-lock.json" "$stamp"
  fi
}

# stage NAME COMMAND…: runs it, notes how long it took and goes on; stages says
# how it went and ends the script. CPU time says what a stage costs on a machine
# that has other work.
stage_names=()
stage_times=()
stage_cpu=()
stage_failed=0
stage() {
  local name=$1 begun=$SECONDS status cpu
  cpu=$(cpu_seconds)
  shift
  say "== $name"
  set +e
  (
    set -e
    "$@"
  )
  status=$?
  set -e
  if [ "$status" != 0 ]; then
    stage_failed=1
    name+=' FAILED'
  fi
  stage_names+=("$name")
  stage_times+=($((SECONDS - begun)))
  stage_cpu+=($(($(cpu_seconds) - cpu)))
}

# cpu_seconds: of all processes that this script has waited for.
cpu_seconds() { awk '{ print int(($16 + $17) / 100) }' "/proc/$$/stat"; }

stages() {
  local i
  say ""
  for i in "${!stage_names[@]}"; do
    say "$(printf '%5d s  %5d s CPU  %s' "${stage_times[$i]}" "${stage_cpu[$i]}" "${stage_names[$i]}")"
  done
  say "$(printf '%5d s  %5d s CPU  altogether' "$SECONDS" "$(cpu_seconds)")"
  exit "$stage_failed"
}
