#!/bin/sh
# Builds the simulator: GDB's sim/ft32 from Debian's source package, our patch and the peripheral models. The result is
# GPLv3 (COPYING), as the models are; nothing of it goes into the firmware.
set -eu
out=${1:?usage: build.sh FOLDER}
here=$(cd "$(dirname "$0")" && pwd)
stamp="$out/.built-$(cat "$here"/*.patch "$here"/*.c "$0" | sha256sum | cut -c1-16)"
[ -e "$stamp" ] && exit 0
ARCHIVE=gdb_13.1.orig.tar.xz
SUM=d861181d5fa473787ed647895ec22d6ab001bb0a2354d76537fc0d6e244f5a15
mkdir -p "$out"
if [ ! -e "$out/$ARCHIVE" ]; then
  if [ -n "${POSTERN_SOURCES:-}" ]; then cp "$POSTERN_SOURCES/$ARCHIVE" "$out/$ARCHIVE"
  else "$here/../debian-source.sh" gdb=13.1-3 "$out"; fi
fi
echo "$SUM  $out/$ARCHIVE" | sha256sum -c --quiet - || {
  rm -f "$out/$ARCHIVE"
  echo "$ARCHIVE is not the archive that this simulator was tested with; it was removed" >&2
  exit 1
}
if [ ! -e "$out/src/.configured" ]; then
  echo "building GDB's FT32 simulator; this takes some minutes" >&2
  rm -rf "$out/src" "$out/build"
  mkdir -p "$out/src" "$out/build"
  tar -xf "$out/$ARCHIVE" -C "$out/src" --strip-components=1
  cp "$out/src/sim/ft32/interp.c" "$out/interp.orig.c"
  (cd "$out/build" && CFLAGS="-O2 -g0" CXXFLAGS="-O2 -g0" LC_ALL=C ../src/configure --target=ft32-elf --disable-nls \
    --disable-werror --disable-gdb --disable-gdbserver --disable-gprofng --disable-gas --disable-ld \
    --disable-binutils --enable-sim --with-system-zlib --without-zstd) >"$out/configure.log" 2>&1 ||
    { tail -20 "$out/configure.log" >&2; exit 1; }
  : >"$out/src/.configured"
fi
rm -f "$out"/.built-*
cp "$out/interp.orig.c" "$out/src/sim/ft32/interp.c"
patch -s -p3 -d "$out/src/sim/ft32" <"$here/gdb-13.1-ft32.patch"
cp "$here/ft900-peripherals.c" "$out/src/sim/ft32/"
(cd "$out/build" && make -j2 MAKEINFO=true all-sim) >"$out/build.log" 2>&1 || { tail -30 "$out/build.log" >&2; exit 1; }
cp "$out/build/sim/ft32/run" "$out/ft900-sim"
: >"$stamp"
