#!/usr/bin/env bash
# Builds what is measured (preset release), starts throwaway servers, measures, and stops what it started.
#
#   bench/run.sh transfer                                    the whole table, about seven minutes
#   bench/run.sh transfer --databases postgres+mysql --clients 8 --acknowledge applied
#   bench/run.sh count                                       messages, round trips and syncs of one transfer
#   bench/run.sh decide                                      decisions of a group of coordinators against etcd's writes
#   bench/run.sh failover                                    how long clients wait when a group's leader fails
#   bench/run.sh recover                                     what a new leader does with 100,000 open decisions
#   bench/run.sh transfer --help, and so on
#
# How to read the numbers: bench/README.md.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly python=/usr/bin/python3
more=()

usage() {
  sed -n '2,/^set /{s/^# \{0,1\}//;/^set /!p}' "$0"
}

case "${1:-}" in
  transfer) targets=(troth_bench_transfer troth_coordinator_program troth_agent_program troth) ;;
  count) targets=(troth_bench_count troth_sync_counter troth_coordinator_program troth_agent_program troth) ;;
  decide)
    targets=(troth_bench_decide troth_bench_peers troth_bench_agent troth_sync_counter troth_coordinator_program)
    more=(bench)
    ;;
  failover) targets=(troth_bench_failover troth_bench_agent troth_coordinator_program) ;;
  recover) targets=(troth_bench_decide troth_bench_yes_agent troth_coordinator_program) ;;
  -h | --help)
    usage
    exit 0
    ;;
  *)
    usage >&2
    exit 2
    ;;
esac
bench=$1
shift

# Whoever asks for help, or asks wrongly, need not wait for a build.
"$python" "bench/runtime/$bench.py" --check-arguments "$@" || exit $?
for argument in "$@"; do
  case "$argument" in -h | --help) exit 0 ;; esac
done

deploy/packages.sh build demo test >&2
# The peer is measured where it is to be had.
[ ${#more[@]} -eq 0 ] || deploy/packages.sh "${more[@]}" >&2 || echo "bench: going on without those" >&2
mkdir -p out/bench
if ! { cmake --preset release && cmake --build --preset release -j "$(nproc)" --target "${targets[@]}"; } \
  >out/bench/build.log 2>&1; then
  tail -n 30 out/bench/build.log >&2
  echo "bench: the build failed: out/bench/build.log" >&2
  exit 1
fi
exec "$python" "bench/runtime/$bench.py" "$@"
