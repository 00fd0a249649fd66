#!/usr/bin/env bash
# Finds promtool, which reads alert rules as Prometheus does, and prints its path.
#
# Yours on the PATH comes first. Else Debian's package `prometheus` is fetched and only this program of it unpacked, into a
# cache directory: installing the package would start a server. Needs no root; apt's package lists must be there.
set -euo pipefail

# A tilde finds the home directory even where HOME is not set.
home=~
readonly cache=${TROTH_CACHE:-${XDG_CACHE_HOME:-$home/.cache}/troth}/promtool

if command -v promtool; then exit 0; fi
if [ ! -x "$cache/promtool" ]; then
  mkdir -p "$cache"
  work=$(mktemp -d "$cache/new.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  (cd "$work" && apt-get download -qq prometheus) >&2
  dpkg-deb --fsys-tarfile "$work"/prometheus_*.deb | tar -x -C "$work" ./usr/bin/promtool
  mv "$work/usr/bin/promtool" "$cache/promtool"
fi
printf '%s\n' "$cache/promtool"
