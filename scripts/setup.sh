#!/usr/bin/env bash
# Sets up what is missing, and says what it does. Nothing is done twice.
#
#   scripts/setup.sh          what `make run` needs: npm packages, the build, RabbitMQ
#   scripts/setup.sh test     that, and the programs that the tests use beside it
#   scripts/setup.sh build    npm packages and the build alone
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*"; }
fail() {
  printf '%s\n' "$@" >&2
  exit 1
}

# --- Node.js -----------------------------------------------------------------------------------------------------

check_node() {
  command -v node >/dev/null && command -v npm >/dev/null ||
    fail 'Postern needs Node.js 20.19 or newer and its npm, and they are not on PATH. See https://nodejs.org'
  node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
    fail "Postern needs Node.js 20.19 or newer; this is $(node --version). See https://nodejs.org"
}

install_packages() {
  # npm writes node_modules/.package-lock.json last: where it is missing or older, an installation is due.
  if [ -e node_modules/.package-lock.json ] && ! [ package-lock.json -nt node_modules/.package-lock.json ]; then
    return
  fi
  say 'Installing npm packages (npm ci).'
  npm ci --no-audit --no-fund --loglevel=error
  touch node_modules/.package-lock.json
}

build() {
  node_modules/.bin/tsc -b || fail 'The build failed; the errors are above.'
}

# --- Debian packages ---------------------------------------------------------------------------------------------

readonly POLICY=/usr/sbin/policy-rc.d
readonly POLICY_BEFORE=/usr/sbin/policy-rc.d.before-postern
readonly POLICY_MARK='# Put here by Postern while it installs a package'

can_install() { [ "$(id -u)" -eq 0 ] && [ -e /etc/debian_version ] && command -v apt-get >/dev/null; }

# Debian starts a package's service as soon as it is installed, unless policy-rc.d says no (exit code 101).
forbid_services() {
  allow_services # what an installation that was killed may have left
  if [ -e "$POLICY" ] || [ -L "$POLICY" ]; then mv "$POLICY" "$POLICY_BEFORE"; fi
  printf '#!/bin/sh\n%s\nexit 101\n' "$POLICY_MARK" >"$POLICY.postern"
  chmod 755 "$POLICY.postern"
  mv "$POLICY.postern" "$POLICY"
}

allow_services() {
  rm -f "$POLICY.postern"
  if [ -f "$POLICY" ] && grep -qxF "$POLICY_MARK" "$POLICY"; then rm -f "$POLICY"; fi
  if { [ -e "$POLICY_BEFORE" ] || [ -L "$POLICY_BEFORE" ]; } && ! [ -e "$POLICY" ]; then mv "$POLICY_BEFORE" "$POLICY"; fi
}

# Erlang processes of the system's services: those have users of their own, our private nodes do not.
service_processes() {
  local user pids=
  for user in rabbitmq epmd; do
    if id "$user" >/dev/null 2>&1; then pids+=" $(pgrep -u "$user" -x 'beam.smp|epmd' | tr '\n' ' ' || true)"; fi
  done
  printf '%s' "$pids"
}

# apt_install <package>...
apt_install() (
  log=$(mktemp)
  trap 'allow_services; rm -f "$log"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  before=$(service_processes)
  forbid_services
  export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
  install() { apt-get install -y --no-install-recommends "$@" </dev/null >"$log" 2>&1; }
  # A fresh machine has no package lists yet.
  if ! install "$@"; then
    apt-get update </dev/null >"$log" 2>&1 || true
    install "$@" || {
      tail -n 15 "$log" >&2
      fail "apt-get could not install: $*. What it said is above."
    }
  fi
  after=$(service_processes)
  for pid in $after; do
    case " $before " in *" $pid "*) continue ;; esac
    say "The installation started $(ps -o comm= -p "$pid" || true) (process $pid) all the same; stopping it."
    kill "$pid" || true
  done
  for pid in $before; do
    case " $after " in *" $pid "*) continue ;; esac
    say "Note: the service process $pid, which ran before the installation, runs no more."
  done
)

# --- RabbitMQ ----------------------------------------------------------------------------------------------------

has_broker() {
  node --input-type=module -e "
    const { detectBroker } = await import('./broker-config/dist/index.js');
    await detectBroker().catch((error) => process.exit(error.code === 'BROKER_NOT_FOUND' ? 1 : 0));
  "
}

install_broker() {
  # Which of several brokers, and whether it can be used, is for the start to say.
  if [ -n "${POSTERN_RABBITMQ_HOME:-}" ] || has_broker; then return; fi
  if ! can_install; then
    fail 'RabbitMQ is not on this machine, and this user cannot install it. One of these gets it:' \
      '  Debian, Ubuntu:  sudo apt-get install rabbitmq-server' \
      '  macOS:           brew install rabbitmq' \
      '  elsewhere:       unpack the generic-unix release of https://www.rabbitmq.com' \
      'Its service need not run: Postern starts a node of its own. A folder that is not found by itself is named by POSTERN_RABBITMQ_HOME.'
  fi
  say 'Installing RabbitMQ (apt-get install rabbitmq-server). Its system service is not started: Postern starts a node of its own.'
  apt_install rabbitmq-server
  # It was not here before, so nobody wants it at the next boot either.
  if command -v systemctl >/dev/null; then
    systemctl disable rabbitmq-server.service epmd.service epmd.socket >/dev/null 2>&1 || true
  fi
  has_broker || fail 'rabbitmq-server was installed, and yet no RabbitMQ is found in the usual places. Name its folder in POSTERN_RABBITMQ_HOME.'
}

# --- What the tests use ------------------------------------------------------------------------------------------

install_test_tools() {
  local missing=()
  # Debian's packages are for Debian's Python, whatever else PATH may have.
  /usr/bin/python3 -c 'import paho.mqtt.client' 2>/dev/null || missing+=(python3-paho-mqtt)
  /usr/bin/python3 -c 'import pika' 2>/dev/null || missing+=(python3-pika)
  command -v mosquitto_sub >/dev/null || missing+=(mosquitto-clients)
  command -v openssl >/dev/null || missing+=(openssl)
  command -v zsh >/dev/null || missing+=(zsh)
  command -v fish >/dev/null || missing+=(fish)
  if [ ${#missing[@]} -eq 0 ]; then return; fi
  if can_install; then
    say "Installing what the tests use (apt-get install ${missing[*]})."
    apt_install "${missing[@]}"
  else
    say "Missing for the tests against other people's clients and shells: ${missing[*]}"
    say "  Debian, Ubuntu: sudo apt-get install ${missing[*]}"
  fi
}

# --- In this order: each step needs the one before ---------------------------------------------------------------

goal=${1:-run}
case $goal in run | test | build) ;; *) fail "Usage: scripts/setup.sh [run|test|build]" ;; esac

check_node
# Two copies of one checkout may be started at once: one sets up, the other waits.
if command -v flock >/dev/null; then
  exec 9<.
  flock 9
fi
install_packages
build
if [ "$goal" != build ]; then install_broker; fi
if [ "$goal" = test ]; then install_test_tools; fi
