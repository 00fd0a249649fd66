# What a newcomer guesses. `make verify` before a commit, `make test` before a release.
.PHONY: build test verify fix fuzz bench sim plants

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

# SEED=n: one seed and its trace (SET=...: otherwise than it says; NODE=co,ag1 or TRANSACTION=1.4: only of these).
# SEEDS=n: a report over so many.
SEEDS ?= 1000
sim:
	cmake --preset dev
	cmake --build --preset dev -j $(JOBS) --target troth_sim_program
	build/dev/bin/troth-sim $(if $(SEED),--seed $(SEED),--seeds $(SEEDS) --jobs $(JOBS)) $(if $(SET),--set $(SET)) \
		$(if $(NODE),--node $(NODE)) $(if $(TRANSACTION),--transaction $(TRANSACTION))

# Every planted bug is found (PLANT=name: this one). tests/sim/planted/
plants:
	cmake --preset dev
	cmake --build --preset dev -j $(JOBS) --target troth_sim_program troth_sim_planted
	tests/sim/planted/plants.py run build/dev/bin $(PLANT)
