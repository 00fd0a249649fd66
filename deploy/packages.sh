#!/usr/bin/env bash
# Installs the Debian packages that a set of work needs, and nothing where they are all there.
#
#   deploy/packages.sh build demo test check fuzz
#
# build  compiler, build tools and the libraries that Troth links
# demo   database servers, as programs only: no system service is created or started
# test   what the Python tests import
# check  format, lint and shell checks (make verify)
# fuzz   clang with its fuzzer (make fuzz)
# bench  etcd, and what a client of it is built with: what bench/run.sh decide compares with
#
# Needs root, or sudo.
set -euo pipefail

readonly build_set=(
  g++ cmake ninja-build make ccache mold pkg-config thrift-compiler
  libpqxx-dev libmariadb-dev libmysqlcppconn-dev libthrift-dev libfmt-dev libasio-dev libspdlog-dev libcli11-dev libtoml11-dev
  nlohmann-json3-dev libisal-dev libsystemd-dev libssl-dev libedit-dev prometheus-cpp-dev
  libgtest-dev libgmock-dev librapidcheck-dev
)
readonly demo_set=(
  python3 postgresql postgresql-client mariadb-server-core mariadb-client-core
  # mysql-tree.sh checks the signature of what it fetches.
  ca-certificates debian-archive-keyring
  # dev-ca.sh
  openssl
)
readonly test_set=(
  git openssl python3 python3-pytest python3-pytest-timeout python3-pytest-xdist python3-psycopg2 python3-pymysql python3-cryptography
  pgbouncer
  # Debian's python3-thrift imports six without depending on it.
  python3-thrift python3-six thrift-compiler
  # What reads /metrics strictly, and the alert rules.
  python3-prometheus-client python3-yaml
  # A terminal for `troth shell`.
  python3-pexpect
  # Networks of a test's own, in network namespaces.
  iproute2
)
readonly check_set=(git clang-format-19 clang-tidy-19 black shellcheck)
readonly fuzz_set=(clang-19 libclang-rt-19-dev)
readonly bench_set=(etcd-server etcd-client libgrpc++-dev protobuf-compiler protobuf-compiler-grpc)

readonly attempts=3

say() { printf 'packages: %s\n' "$*"; }
fail() {
  printf 'packages: %s\n' "$*" >&2
  exit 1
}

packages_of() {
  case "$1" in
    build) printf '%s\n' "${build_set[@]}" ;;
    demo) printf '%s\n' "${demo_set[@]}" ;;
    test) printf '%s\n' "${test_set[@]}" ;;
    check) printf '%s\n' "${check_set[@]}" ;;
    fuzz) printf '%s\n' "${fuzz_set[@]}" ;;
    bench) printf '%s\n' "${bench_set[@]}" ;;
    *) fail "unknown set '$1': take build, demo, test, check, fuzz or bench" ;;
  esac
}

is_installed() {
  [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

apt() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get --quiet --quiet --yes \
    -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"
}

# Debian's postgresql creates and starts a cluster named "main" when it is first installed. Only the programs are
# wanted here, so a drop-in says no for as long as our own installation runs.
readonly cluster_drop_in=/etc/postgresql-common/createcluster.d/troth-no-main-cluster.conf
forbid_main_cluster() {
  as_root mkdir -p "$(dirname "$cluster_drop_in")"
  printf 'create_main_cluster = false\n' | as_root tee "$cluster_drop_in" >/dev/null
}
allow_main_cluster() { as_root rm -f "$cluster_drop_in"; }

# Debian's pgbouncer and etcd start as services, now and at each boot. Tests and benchmarks start their own.
forbid_service() { as_root systemctl --quiet mask "$1.service" >/dev/null 2>&1 || true; }
leave_service_off() {
  as_root systemctl --quiet unmask "$1.service" >/dev/null 2>&1 || true
  as_root systemctl --quiet disable "$1.service" >/dev/null 2>&1 || true
}

install_missing() {
  local attempt log tidy
  log=$(mktemp)
  tidy="rm -f '$log'"
  case " $* " in
    *" postgresql "*)
      forbid_main_cluster
      tidy="allow_main_cluster; $tidy"
      ;;
  esac
  case " $* " in
    *" pgbouncer "*)
      forbid_service pgbouncer
      tidy="leave_service_off pgbouncer; $tidy"
      ;;
  esac
  case " $* " in
    *" etcd-server "*)
      forbid_service etcd
      tidy="leave_service_off etcd; $tidy"
      ;;
  esac
  # shellcheck disable=SC2064 # the name of the log is wanted as it is now
  trap "$tidy" EXIT
  for ((attempt = 1; attempt <= attempts; attempt++)); do
    if apt update >"$log" 2>&1 && apt install --no-install-recommends "$@" >"$log" 2>&1; then
      return 0
    fi
    say "attempt $attempt of $attempts failed: $(grep -m1 '^E:' "$log" || tail -n1 "$log")"
    sleep $((attempt * 2))
  done
  tail -n 20 "$log" >&2
  return 1
}

[ $# -gt 0 ] || fail "name at least one set: build, demo, test, check, fuzz, bench"
command -v apt-get >/dev/null || fail "this machine has no apt-get: install by hand what this script lists"

wanted=()
for set_name in "$@"; do
  members=$(packages_of "$set_name")
  mapfile -t -O "${#wanted[@]}" wanted <<<"$members"
done

missing=()
while read -r package; do
  is_installed "$package" || missing+=("$package")
done < <(printf '%s\n' "${wanted[@]}" | sort -u)

if [ ${#missing[@]} -eq 0 ]; then
  say "all there ($*)"
  exit 0
fi
if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
  fail "missing: ${missing[*]}; neither root nor sudo is at hand: run as root: apt-get install ${missing[*]}"
fi
say "installing ${#missing[@]}: ${missing[*]}"
install_missing "${missing[@]}" || fail "could not install ${missing[*]} after $attempts attempts; the reason is above"
say "installed"
