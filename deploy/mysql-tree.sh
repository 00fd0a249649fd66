#!/usr/bin/env bash
# Finds a real MySQL server, 8.4 or later, and prints where it is as name=value lines:
#
#   version=9.7.4
#   basedir=/home/me/.cache/troth/mysql/9.7.4/usr
#   mysqld=/home/me/.cache/troth/mysql/9.7.4/usr/sbin/mysqld
#   client=/home/me/.cache/troth/mysql/9.7.4/usr/bin/mysql
#   loader=/home/me/.cache/troth/mysql/9.7.4/usr/lib/.../ld-linux-x86-64.so.2 --library-path /home/me/...
#
# Your own mysqld comes first: $TROTH_MYSQLD, then the PATH and the usual places. Debian's own mysqld is MariaDB and is
# passed over. Where there is none, the packages of Debian unstable are unpacked into a cache directory, unprivileged
# and without touching the system: apt runs on a private root with an empty package list, so it downloads the servers
# with every library they need, the C library too. That is why they start with their own loader (the line is absent for
# your own mysqld).
set -euo pipefail

readonly least_version=8.4
readonly attempts=3
# A tilde finds the home directory even where HOME is not set.
home=~
readonly cache=${TROTH_CACHE:-${XDG_CACHE_HOME:-$home/.cache}/troth}/mysql

say() { printf 'mysql-tree: %s\n' "$*" >&2; }
fail() {
  say "$*"
  exit 1
}

# Prints the version of the mysqld started by "$@" if it is MySQL and new enough, else says why not.
fit_version() {
  local text version
  text=$("$@" --no-defaults --version 2>&1) || {
    say "$1 does not start: $(tail -n1 <<<"$text")"
    return 1
  }
  case "$text" in *[Mm]aria*) return 1 ;; esac
  version=$(grep -oE 'Ver [0-9]+\.[0-9]+\.[0-9]+' <<<"$text" | cut -c5-)
  [ -n "$version" ] || {
    say "$1 names no version: $text"
    return 1
  }
  if [ "$(printf '%s\n' "$least_version" "$version" | sort -V | head -n1)" != "$least_version" ]; then
    say "$1 is $version, older than $least_version"
    return 1
  fi
  printf '%s\n' "$version"
}

print_own() {
  local mysqld=$1 version=$2 bin client
  bin=$(dirname "$mysqld")
  for client in "$bin/mysql" "$(dirname "$bin")/bin/mysql" "$(command -v mysql || true)"; do
    [ -x "$client" ] && break
  done
  [ -x "$client" ] || fail "$mysqld has no mysql client beside it or on the PATH: install the one of its version"
  printf 'version=%s\nbasedir=%s\nmysqld=%s\nclient=%s\n' "$version" "$(dirname "$bin")" "$mysqld" "$client"
}

# Sets `loader` to the command that starts programs of the tree "$1".
find_loader() {
  local lib
  for lib in "$1"/usr/lib/*-linux-gnu*; do
    for so in "$lib"/ld-linux*.so.*; do
      [ -e "$so" ] && loader=("$so" --library-path "$lib") && return 0
    done
  done
  return 1
}

print_tree() {
  local tree=$1 version=$2
  printf 'version=%s\nbasedir=%s/usr\nmysqld=%s/usr/sbin/mysqld\nclient=%s/usr/bin/mysql\nloader=%s\n' \
    "$version" "$tree" "$tree" "$tree" "${loader[*]}"
}

# The mirrors of this machine's own apt configuration, Debian's first, without naming any host here.
# shellcheck disable=SC2016 # $(REPO_URI) is apt's to expand
mirrors() {
  local codename
  codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
  {
    apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Component: main' 'Origin: Debian' "Release: $codename"
    apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Component: main' "Release: $codename"
  } 2>/dev/null | awk '!seen[$0]++'
}

# Downloads MySQL and all it needs from the mirror $1 into the private apt root $2.
download() {
  local mirror=$1 root=$2 keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  [ -r "$keyring" ] || {
    echo "$keyring is missing: install debian-archive-keyring"
    return 1
  }
  rm -rf "$root"
  mkdir -p "$root"/etc/{apt.conf.d,preferences.d} "$root"/state/lists/partial "$root"/cache/archives/partial "$root"/log
  : >"$root/state/status"
  printf 'deb [signed-by=%s] %s sid main\n' "$keyring" "$mirror" >"$root/etc/sources.list"
  # Valid-Until is not checked: a mirror that stands still is as good for a throwaway server, and signatures still are.
  cat >"$root/apt.conf" <<CONF
Dir "$root";
Dir::Etc "$root/etc";
Dir::Etc::sourcelist "$root/etc/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::trusted "/dev/null";
Dir::State "$root/state";
Dir::State::status "$root/state/status";
Dir::Cache "$root/cache";
Dir::Log "$root/log";
APT::Sandbox::User "";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
Acquire::Retries "2";
Debug::NoLocking "true";
CONF
  APT_CONFIG="$root/apt.conf" apt-get -qq update 2>&1 &&
    APT_CONFIG="$root/apt.conf" apt-get -qq --yes --download-only install mysql-server-core mysql-client-core 2>&1
}

unpack() {
  local root=$1 tree=$2 name package
  mkdir -p "$tree/usr"
  # Debian unstable has these merged; older spellings inside packages follow the links.
  for name in bin sbin lib lib64; do
    mkdir -p "$tree/usr/$name"
    ln -s "usr/$name" "$tree/$name"
  done
  for package in "$root"/cache/archives/*.deb; do
    dpkg-deb --extract "$package" "$tree" || return 1
  done
  rm -rf "$tree"/usr/share/{doc,man,perl}
}

# Fetches a tree into the cache and prints it. Everything happens in a directory of this run's own, renamed when whole.
fetch() {
  local making=$1 attempt mirror version reason=""
  for ((attempt = 1; attempt <= attempts; attempt++)); do
    while read -r mirror; do
      if ! reason=$(download "$mirror" "$making/apt"); then
        reason="$(grep -m1 '^E:' <<<"$reason" || tail -n1 <<<"$reason")"
      else
        rm -rf "$making/tree"
        if unpack "$making/apt" "$making/tree" && find_loader "$making/tree" &&
          version=$(fit_version "${loader[@]}" "$making/tree/usr/sbin/mysqld"); then
          # Another run may have been quicker; its tree is as good.
          mv -T "$making/tree" "$cache/$version" 2>/dev/null || [ -x "$cache/$version/usr/sbin/mysqld" ] ||
            fail "cannot move the tree to $cache/$version"
          find_loader "$cache/$version"
          print_tree "$cache/$version" "$version"
          return 0
        fi
        reason="the unpacked mysqld does not run here"
      fi
      say "attempt $attempt of $attempts: $reason"
    done < <(mirrors)
    sleep $((attempt * 2))
  done
  [ -n "$reason" ] || reason="the apt configuration of this machine names no mirror of Debian (main)"
  fail "no MySQL: $reason; give your own with TROTH_MYSQLD=/path/to/mysqld"
}

loader=()
if [ -n "${TROTH_MYSQLD:-}" ]; then
  version=$(fit_version "$TROTH_MYSQLD") || fail "TROTH_MYSQLD=$TROTH_MYSQLD is no MySQL $least_version or later"
  print_own "$TROTH_MYSQLD" "$version"
  exit 0
fi
for mysqld in "$(command -v mysqld || true)" /usr/sbin/mysqld /usr/local/mysql/bin/mysqld /usr/libexec/mysqld; do
  [ -x "$mysqld" ] || continue
  if version=$(fit_version "$mysqld"); then
    print_own "$mysqld" "$version"
    exit 0
  fi
done

mkdir -p "$cache"
while read -r tree; do
  if find_loader "$cache/$tree" && version=$(fit_version "${loader[@]}" "$cache/$tree/usr/sbin/mysqld"); then
    print_tree "$cache/$tree" "$version"
    exit 0
  fi
done < <(find "$cache" -mindepth 1 -maxdepth 1 -type d -name '[0-9]*' -printf '%f\n' | sort -rV)

command -v apt-get >/dev/null || fail "no MySQL here and no apt-get: give your own with TROTH_MYSQLD=/path/to/mysqld"
# What a killed run of this script left behind, a day later.
find "$cache" -mindepth 1 -maxdepth 1 -type d -name '.making-*' -mmin +1440 -exec rm -rf {} +
making=$(mktemp -d "$cache/.making-XXXXXX")
trap 'rm -rf "$making"' EXIT
fetch "$making"
