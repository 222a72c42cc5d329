#!/bin/bash
# Puts the cross compiler ft32-elf into a folder: from $FT32_TOOLCHAIN (an installed one), or from the archive that may
# lie beside the repository, or built from Debian's source packages, which takes 10 minutes and more on 2 cores.
set -euo pipefail
out=${1:?usage: toolchain.sh FOLDER}
here=$(cd "$(dirname "$0")" && pwd)
[ -x "$out/bin/ft32-elf-gcc" ] && exit 0
mkdir -p "$(dirname "$out")"

if [ -n "${FT32_TOOLCHAIN:-}" ]; then
  [ -x "$FT32_TOOLCHAIN/bin/ft32-elf-gcc" ] || { echo "FT32_TOOLCHAIN=$FT32_TOOLCHAIN has no bin/ft32-elf-gcc" >&2; exit 1; }
  ln -sfn "$FT32_TOOLCHAIN" "$out"
  exit 0
fi
archive=${FT32_TOOLCHAIN_ARCHIVE:-$here/../../../../shared/tools/ft32-elf-static.tar.xz}
if [ -e "$archive" ]; then
  mkdir -p "$out.new"
  tar -xf "$archive" -C "$out.new"
  mv "$out.new" "$out"
  exit 0
fi

echo "building ft32-elf from Debian's source packages; this takes 10 minutes and more" >&2
for tool in gcc g++ make m4 bison flex; do
  command -v "$tool" >/dev/null || { echo "$tool is missing: run tools/setup.sh toolchain" >&2; exit 1; }
done
work=$out.build
rm -rf "$work"
mkdir -p "$work/debs" "$work/root" "$work/b" "$work/g" "$work/n"
(cd "$work/debs" && apt-get -q -o APT::Sandbox::User=root download binutils-source=2.40-2 gcc-12-source newlib-source)
for deb in "$work"/debs/*.deb; do dpkg -x "$deb" "$work/root"; done
cd "$work"
tar -xf root/usr/src/binutils/binutils-2.40.tar.xz
tar -xf root/usr/src/gcc-12/gcc-12.*.tar.xz
tar -xf root/usr/src/newlib/newlib-*.tar.xz
gcc_source=$(echo gcc-12.*/)
newlib_source=$(echo newlib-*/)
patch -s -p2 -d "$gcc_source" <root/usr/src/gcc-12/patches/gcc-gfdl-build.diff
export PATH=$out/bin:$PATH CFLAGS="-O2 -g0" CXXFLAGS="-O2 -g0" LC_ALL=C
jobs=${JOBS:-2}
# MAKEINFO must stand on make's command line: Debian's archives have no manuals.
(cd b && ../binutils-2.40/configure --target=ft32-elf --prefix="$out" --disable-nls --disable-werror --disable-gdb \
  --disable-sim --disable-gprofng --disable-gprof --disable-plugins --without-zstd &&
  make -j"$jobs" MAKEINFO=true && make MAKEINFO=true install-strip) >binutils.log 2>&1
(cd g && ../"$gcc_source"configure --target=ft32-elf --prefix="$out" --enable-languages=c --with-newlib \
  --without-headers --disable-nls --disable-shared --disable-threads --disable-libssp --disable-libquadmath \
  --disable-libgomp --disable-libatomic --disable-lto --disable-plugin --disable-libcc1 --disable-analyzer &&
  make -j"$jobs" MAKEINFO=true all-gcc && make -j"$jobs" MAKEINFO=true all-target-libgcc &&
  make MAKEINFO=true install-strip-gcc && make MAKEINFO=true install-target-libgcc) >gcc.log 2>&1
(cd n && ../"$newlib_source"configure --target=ft32-elf --prefix="$out" --enable-newlib-nano-malloc \
  --enable-newlib-reent-small --disable-newlib-fvwrite-in-streamio --disable-newlib-unbuf-stream-opt \
  --enable-newlib-global-atexit --enable-newlib-nano-formatted-io \
  CFLAGS_FOR_TARGET="-Os -g0 -ffunction-sections -fdata-sections" &&
  make -j"$jobs" MAKEINFO=true && make MAKEINFO=true install) >newlib.log 2>&1
rm -rf "$work"
