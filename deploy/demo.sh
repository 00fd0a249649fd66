#!/usr/bin/env bash
# Shows Troth at its job: installs what is missing, builds, starts databases, coordinator and agents, moves money
# between Postgres and MySQL, kills things between prepare and commit, and proves that nothing was lost.
#
#   ./deploy/demo.sh            all of it; nothing is left running
#   ./deploy/demo.sh --keep     leave the directory with logs and configurations behind
#
# Exit code 0: every step showed what it should.
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1:-}" in
  "" | --keep) ;;
  *)
    sed -n '2,/^set /{s/^# \{0,1\}//;/^set /!p}' "$0"
    [ "$1" = --help ] || [ "$1" = -h ] && exit 0
    exit 2
    ;;
esac

echo "== packages"
deploy/packages.sh build demo

echo "== build (preset release)"
mkdir -p out/demo
started=$SECONDS
if ! { cmake --preset release && cmake --build --preset release -j "$(nproc)" \
  --target troth_coordinator_program troth_agent_program troth; } >out/demo/build.log 2>&1; then
  tail -n 30 out/demo/build.log >&2
  echo "demo: the build failed; the whole log is out/demo/build.log" >&2
  exit 1
fi
echo "built in $((SECONDS - started)) s"

TROTH_PROGRAMS=$PWD/build/release/bin exec /usr/bin/python3 deploy/demo.py "$@"
