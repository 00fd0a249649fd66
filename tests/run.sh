#!/usr/bin/env bash
# Runs every test, on a bare Debian 12 too: installs what is missing, builds, tests, and counts.
#
#   tests/run.sh                 everything
#   tests/run.sh unit harness    these stages only, in the order given
#
# style        the house rules that a machine can see
# unit         C++ unit tests and golden scripts (preset dev)
# asan         the pure ones under AddressSanitizer and UndefinedBehaviorSanitizer
# tsan         everything with threads under ThreadSanitizer
# sim          5,000 seeds of the simulator
# fuzz         each fuzz target for a minute (FUZZ_SECONDS)
# database     C++ tests against real servers
# harness      the tests of the Python harness itself
# integration  whole processes on real databases
# faults       the same, while things are killed, cut and delayed
#
# Logs and JUnit files go to out/tests/. The last line reads: N passed, N failed, N skipped.
# shellcheck disable=SC2317 # the stages are called by name
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

readonly all_stages=(style unit asan tsan sim fuzz database harness integration faults)
readonly out=$PWD/out/tests
readonly python=/usr/bin/python3
jobs=$(nproc)
readonly jobs
# A checkout that belongs to another account, as CI's may, is still ours to list.
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=$PWD

stages=("$@")
[ ${#stages[@]} -gt 0 ] || stages=("${all_stages[@]}")
for stage in "${stages[@]}"; do
  case " ${all_stages[*]} " in
    *" $stage "*) ;;
    *)
      echo "run.sh: unknown stage '$stage': take ${all_stages[*]}" >&2
      exit 2
      ;;
  esac
done

build() { # PRESET [TARGET...]
  local preset=$1
  shift
  cmake --preset "$preset" && cmake --build --preset "$preset" -j "$jobs" ${1:+--target "$@"}
}

# The tests of a label; LABEL_tests exists only where some test has the label.
labelled() { # PRESET LABEL STAGE
  cmake --preset "$1" && cmake --build "build/$1" -j "$jobs" --target "$2_tests" &&
    ctest --test-dir "build/$1" -L "$2" -j "$jobs" --output-on-failure --no-tests=error --output-junit "$out/$3.xml"
}

pytest() { # STAGE PATH [OPTION...]
  "$python" -m pytest -c tests/pytest.ini --rootdir=tests --junit-xml="$out/$1.xml" "${@:2}"
}
# Whole processes wait more than they compute: two files at a time, each with servers of its own.
pytest_by_files() { pytest "$@" -n 2 --dist loadfile; }

stage_style() { pytest style tests/style; }
stage_unit() {
  build dev &&
    ctest --test-dir build/dev -LE database -j "$jobs" --output-on-failure --no-tests=error --output-junit "$out/unit.xml"
}
stage_asan() { labelled asan pure asan; }
stage_tsan() { labelled tsan threads tsan; }

# The same seeds every time: whether they pass is a matter of the tree alone, and one that fails here fails at whoever replays
# it. What no seed of these meets is for long runs to find, which take seeds that nobody had (tests/sim/README.md).
stage_sim() {
  local name=seeds-1-to-5000
  build dev troth_sim_program || return 1
  if build/dev/bin/troth-sim --seeds 5000 --jobs "$jobs"; then
    echo "PASSED $name"
  else
    echo "FAILED $name"
    return 1
  fi
}

stage_fuzz() {
  build fuzz || return 1
  local program name failed=0
  for program in build/fuzz/fuzz/*; do
    name=$(basename "$program")
    mkdir -p "$out/corpus/$name"
    local seeds=()
    [ -d "tests/fuzz/seeds/$name" ] && seeds=("tests/fuzz/seeds/$name")
    if "$program" -max_total_time="${FUZZ_SECONDS:-60}" -print_final_stats=1 -artifact_prefix="$out/$name-" \
      "$out/corpus/$name" "${seeds[@]}"; then
      echo "PASSED $name"
    else
      echo "FAILED $name: the input is in $out/$name-*"
      failed=1
    fi
  done
  return "$failed"
}

# Servers for C++ tests: they read ports and password files from the file that TROTH_TEST_DATABASES names.
stage_database() {
  local directory status
  directory=$(mktemp -d)
  deploy/databases.py start --dir "$directory/servers" --owner $$ --postgres 1 --mariadb 1 --mysql 1 || return 1
  TROTH_TEST_DATABASES="$directory/servers/databases.json" labelled dev database database
  status=$?
  deploy/databases.py stop --dir "$directory/servers" && rmdir "$directory"
  return "$status"
}

stage_harness() { build dev example_process troth_sync_counter && pytest harness tests/harness; }
stage_integration() { build dev && pytest_by_files integration tests/integration; }
stage_faults() { build dev && pytest_by_files faults tests/faults; }

# A stage whose tests are not written yet would pass by running nothing: it is named instead.
has_tests() {
  case "$1" in
    database) grep -rqs 'LABELS.*database' --include=CMakeLists.txt tests ;;
    asan) grep -rqs 'LABELS.*pure' --include=CMakeLists.txt tests ;;
    tsan) grep -rqs 'LABELS.*threads' --include=CMakeLists.txt tests ;;
    harness | integration | faults) compgen -G "tests/$1/*_test.py" >/dev/null ;;
  esac
}

mkdir -p "$out"
echo "== packages"
deploy/packages.sh build demo test fuzz || {
  echo "0 passed, 1 failed, 0 skipped"
  exit 1
}

failed_stages=()
for stage in "${stages[@]}"; do
  case "$stage" in style | unit | sim | fuzz) ;; *)
    if ! has_tests "$stage"; then
      echo "== $stage: no tests yet"
      continue
    fi
    ;;
  esac
  echo "== $stage"
  rm -f "$out/$stage.xml" "$out/$stage.log" "$out/$stage.result"
  started=$SECONDS
  "stage_$stage" >"$out/$stage.log" 2>&1
  status=$?
  "$python" tests/tally.py stage "$out" "$stage" "$status" $((SECONDS - started)) || failed_stages+=("$stage")
done

"$python" tests/tally.py total "$out" "${stages[@]}"
exit $((${#failed_stages[@]} > 0))
