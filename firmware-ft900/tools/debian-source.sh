#!/bin/sh
# Downloads one Debian source package (name=version) into a folder. Where it comes from is read from the package
# sources that this machine has already; its apt set-up is neither changed nor added to.
set -eu
package=${1:?usage: debian-source.sh NAME=VERSION FOLDER}
folder=${2:?usage: debian-source.sh NAME=VERSION FOLDER}
command -v apt-get >/dev/null || {
  echo "apt-get is not here: put Debian's source package $package into a folder and set POSTERN_SOURCES to it" >&2
  exit 1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir -p "$work/lists/partial" "$work/parts"
: >"$work/parts/src.list"
for file in /etc/apt/sources.list.d/*.sources; do
  [ -e "$file" ] || continue
  sed 's/^Types:.*/Types: deb-src/' "$file" >"$work/parts/$(basename "$file")"
done
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
  [ -e "$file" ] || continue
  sed -n 's/^deb \(\[[^]]*\] \)\{0,1\}/deb-src \1/p' "$file" >>"$work/parts/src.list"
done
options="-o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts=$work/parts -o Dir::State::lists=$work/lists"
# Other people's repositories have no sources of ours, and may be out of reach: only the package itself must be found.
# shellcheck disable=SC2086
apt-get $options -qq update 2>"$work/log" || true
cd "$folder"
# shellcheck disable=SC2086
apt-get $options -qq -o APT::Sandbox::User=root source --download-only "$package" || {
  cat "$work/log" >&2
  echo "Debian's source package $package could not be downloaded" >&2
  exit 1
}
