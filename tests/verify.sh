#!/usr/bin/env bash
# Read-only and quick, before a commit: format, shell checks, style, build, unit tests and scripts, some seeds of the
# simulator, and clang-tidy on what changed since main (or since the commit given).
set -euo pipefail
cd "$(dirname "$0")/.."

deploy/packages.sh build test check

echo "== format"
git ls-files -z --cached --others --exclude-standard '*.h' '*.cc' | xargs -0 -r clang-format-19 --dry-run --Werror

git ls-files -z --cached --others --exclude-standard '*.py' | xargs -0 -r black --quiet --check --line-length 110

echo "== shell"
git ls-files -z --cached --others --exclude-standard '*.sh' .ci/run | xargs -0 -r shellcheck

tests/run.sh style unit

echo "== sim"
# Others than those of the unit tests and of tests/run.sh sim.
seeds=$(build/dev/bin/troth-sim --from 10001 --seeds 200 --jobs "$(nproc)") || {
  echo "$seeds"
  exit 1
}
head -n 1 <<<"$seeds"

echo "== clang-tidy"
base=$(git merge-base HEAD "${1:-main}" 2>/dev/null || git rev-list --max-parents=0 HEAD | tail -n1)
changed=$({
  git diff --name-only --diff-filter=d "$base" -- '*.cc'
  git ls-files --others --exclude-standard '*.cc'
} | sort -u | grep -v '^tests/fuzz/' || true)
if [ -n "$changed" ]; then
  # shellcheck disable=SC2086 # one word per file
  printf '%s\n' $changed | xargs -P "$(nproc)" -n 1 clang-tidy-19 --quiet -p build/dev
fi
echo "verified"
