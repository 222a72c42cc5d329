#!/bin/sh
# Brings RabbitMQ 4 (4.0.5, from Debian 13 "trixie") into a folder of its own, without touching the host.
#
#   scripts/broker-4.sh [folder]        default: .broker-4 in this checkout
#
# The folder is complete or not there: it is made under another name and renamed at the end. Doing it again does
# nothing. Needs root and about a minute; DEBIAN_MIRROR names another mirror than debootstrap's own default.
# Remove the folder to get rid of it: nothing else was installed but debootstrap, where that was missing.
set -eu

say() { printf '%s\n' "$*"; }
fail() {
  printf 'broker-4: %s\n' "$*" >&2
  exit 1
}
has_broker() { ls "$1"/usr/lib/rabbitmq/lib/rabbitmq_server-4.*/sbin/rabbitmq-server >/dev/null 2>&1; }

checkout=$(cd "$(dirname "$0")/.." && pwd)
target=${1:-$checkout/.broker-4}
case $target in
  /*) ;;
  *) target=$(pwd)/$target ;;
esac

if has_broker "$target"; then
  say "RabbitMQ 4 is in $target already."
  say "POSTERN_RABBITMQ_HOME=$target"
  exit 0
fi
[ ! -e "$target" ] || fail "$target exists and holds no RabbitMQ 4. Remove it, or name another folder."
[ "$(uname -s)" = Linux ] || fail 'a Debian folder runs on Linux alone. Install RabbitMQ 4 another way and name its folder in POSTERN_RABBITMQ_HOME.'
[ "$(id -u)" -eq 0 ] || fail "making a Debian folder needs root: sudo $0 $target (running the broker in it does not)."

if ! command -v debootstrap >/dev/null 2>&1; then
  command -v apt-get >/dev/null 2>&1 || fail 'debootstrap is missing, and there is no apt-get to install it. Install debootstrap and try again.'
  say 'Installing debootstrap with apt-get ...'
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends debootstrap debian-archive-keyring >/dev/null ||
    fail 'apt-get could not install debootstrap. Try "apt-get update" first.'
fi

mkdir -p "$(dirname "$target")"
# A run that was killed leaves its folder; a run that goes on in another shell keeps the lock.
work=$target.tmp
exec 9>"$target.lock"
flock -n 9 || fail "another broker-4 is making $target."
cleanup() {
  rm -rf --one-file-system "$work"
  rm -f "$target.lock"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
rm -rf --one-file-system "$work"
mkdir -m 0755 "$work"

# In a mount namespace of its own, so that what debootstrap mounts is gone with it.
apart=
if unshare --mount true 2>/dev/null; then apart='unshare --mount'; fi

say "Fetching RabbitMQ 4 into $target (370 MB, about a minute) ..."
# shellcheck disable=SC2086 # $apart is a command with its option, DEBIAN_MIRROR one word or none
$apart debootstrap --variant=minbase --force-check-gpg --include=rabbitmq-server trixie "$work" ${DEBIAN_MIRROR:-} \
  >"$target.log" 2>&1 9>&- || {
  tail -n 15 "$target.log" >&2
  fail "debootstrap failed; all it said is in $target.log."
}
has_broker "$work" || fail "debootstrap brought no RabbitMQ 4; all it said is in $target.log."

# The node is named ...@localhost, and Erlang asks this file.
printf '127.0.0.1\tlocalhost\n::1\tlocalhost\n' >"$work/etc/hosts"
rm -rf "$work"/var/cache/apt/archives/*.deb "$work"/var/lib/apt/lists/*
chmod 0755 "$work"
mv -T "$work" "$target"
rm -f "$target.log"

say "RabbitMQ 4 is in $target. Use it like this:"
say "POSTERN_RABBITMQ_HOME=$target"
