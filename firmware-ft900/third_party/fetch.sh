#!/bin/sh
# Brings the pinned sources of lwIP and mbedTLS into .tools/src and patches them. They are Debian's source packages:
# taken from the mirror that this machine's own apt is set up for, without touching that set-up, and checked against
# the sums below. With POSTERN_SOURCES=folder the archives are taken from that folder instead.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: fetch.sh FOLDER}
stamp="$out/.patched-$(cat "$here"/patches/*.patch "$0" | sha256sum | cut -c1-16)"
[ -e "$stamp" ] && exit 0

LWIP=lwip_2.1.3+dfsg1.orig.tar.xz
LWIP_SUM=0a8276d09fc4e97bbba2f953d74af2388fc2195ea156be9d7589e297a68fde24
MBEDTLS=mbedtls_2.28.3.orig.tar.gz
MBEDTLS_SUM=3b4953aa55a681e084d31892d9904cc5328d6b4958ea57b90ae4b4f94ae69a8d

mkdir -p "$out"
get() { # archive, package=version, sum
  if [ ! -e "$out/$1" ]; then
    if [ -n "${POSTERN_SOURCES:-}" ]; then cp "$POSTERN_SOURCES/$1" "$out/$1"
    else "$here/../tools/debian-source.sh" "$2" "$out"; fi
  fi
  echo "$3  $out/$1" | sha256sum -c --quiet - || {
    rm -f "$out/$1"
    echo "$1 is not the archive that this firmware was tested with; it was removed" >&2
    exit 1
  }
}
get "$LWIP" lwip=2.1.3+dfsg1-2 "$LWIP_SUM"
get "$MBEDTLS" mbedtls=2.28.3-1 "$MBEDTLS_SUM"

rm -rf "$out/lwip" "$out/mbedtls" "$out"/.patched-*
mkdir "$out/lwip" "$out/mbedtls"
tar -xf "$out/$LWIP" -C "$out/lwip" --strip-components=1
tar -xf "$out/$MBEDTLS" -C "$out/mbedtls" --strip-components=1
find "$out/lwip/src" -name '*.[ch]' -exec sed -i 's/\r$//' {} +
for patch in "$here"/patches/lwip-*.patch; do patch -s -p1 -d "$out/lwip" <"$patch"; done
for patch in "$here"/patches/mbedtls-*.patch; do patch -s -p1 -d "$out/mbedtls" <"$patch"; done
: >"$stamp"
