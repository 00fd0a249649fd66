# What a newcomer guesses. `make verify` before a commit, `make test` before a release.
.PHONY: build test verify fix fuzz bench

JOBS ?= $(shell nproc)

build:
	cmake --preset release
	cmake --build --preset release -j $(JOBS)

test:
	tests/run.sh

verify:
	tests/verify.sh

fix:
	git ls-files -z '*.h' '*.cc' | xargs -0 -r clang-format-19 -i
	git ls-files -z '*.py' | xargs -0 -r black --quiet --line-length 110

fuzz:
	tests/run.sh fuzz

bench:
	bench/run.sh transfer
