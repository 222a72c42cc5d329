#!/bin/sh
# Installs with apt-get what of this room's tools is missing, and says so. Without the right to, it says what to type.
#   setup.sh            compiler, checkers, fuzzers, simulator
#   setup.sh toolchain  also what building the cross compiler itself takes
set -eu
packages="gcc make patch xz-utils ca-certificates cppcheck clang libclang-rt-14-dev zlib1g-dev bison flex iproute2
  gcc-xtensa-lx106 picolibc-xtensa-lx106-elf dpkg-dev"
[ "${1:-}" = toolchain ] && packages="$packages g++ m4 libgmp-dev libmpfr-dev libmpc-dev"
command -v dpkg-query >/dev/null || {
  echo "this is no Debian: the tools to install are" $packages >&2
  exit 1
}
missing=
for package in $packages; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" != 0 ]; then
  echo "missing:$missing" >&2
  echo "type: sudo apt-get install --no-install-recommends$missing" >&2
  exit 1
fi
echo "installing with apt-get:$missing"
DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600 install -y --no-install-recommends $missing
