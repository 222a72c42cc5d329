# Runs a program with the userland of another Debian, while every path of the host keeps its name: the root
# folder's usr, etc, bin, lib ... come from <root>, all else (home, tmp, var, dev, proc ...) from the host.
# Expects a mount namespace of its own, so that nothing of this is seen outside and all of it ends with it.
#
#   sh enter-root.sh <root> <empty folder> <program> [argument...]
set -eu
root=$1
at=$2
shift 2
mount -t tmpfs -o mode=0755,size=1m postern "$at"
for entry in usr etc bin sbin lib lib32 lib64 libx32; do
  if [ -L "$root/$entry" ]; then
    cp -P "$root/$entry" "$at/$entry"
  elif [ -d "$root/$entry" ]; then
    mkdir "$at/$entry"
    mount --rbind "$root/$entry" "$at/$entry"
  fi
done
for entry in /*; do
  if [ -d "$entry" ] && [ ! -L "$entry" ] && [ ! -e "$at$entry" ] && [ ! -L "$at$entry" ]; then
    mkdir "$at$entry"
    mount --rbind "$entry" "$at$entry"
  fi
done
exec chroot "$at" "$@"
