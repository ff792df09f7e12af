# The two commands of the README: `make demo` and `make test`. Each installs what is missing,
# says what it does, and stops what it started.

SHELL := /bin/bash
CARGO ?= cargo
SEED ?= 1
PAYMENTS ?= 100000
BOOKS ?= 10000
# The versions of Rust and Redis that are needed: `rust-version` in Cargo.toml, and what the
# scripts in src/store/redis/ use.
RUST_FLOOR := 1.90
REDIS_FLOOR := 7
# Only tests with this in their name, for `make test-plain`.
ONLY ?=

SEEDS ?= 10000
FROM ?= 0

# `make crash-points` strikes two I/Os of a run; with PAIRS= only one.
PAIRS ?= 1
REPORT ?=

# The release of schemathesis that tries the API, and how many cases it makes up for an operation.
SCHEMATHESIS := 4.32.5
CASES ?= 30

# What is fuzzed, and for how long each.
TARGETS ?= answer command configuration http intake record request webhook
FUZZ_SECONDS ?= 60

# What `make cargo-mutants` changes, and where it keeps what it found.
CHANGES := target/small-changes.out
FILES ?= $(wildcard src/payment/*.rs) $(addprefix src/gateway/,classify.rs refusal.rs wire.rs)

.PHONY: demo test test-plain lint bench chaos model simulate crash-points fuzz api mutants cargo-mutants \
	examples desk chromium reliability reconcile redis rust nextest cargo-deny schemathesis cargo-fuzz fmt

demo: rust redis
	$(CARGO) build --bins -p holdfast -p chip-sandbox -p holdfast-rig
	@target/debug/demo $(if $(KEEP),--keep)

test: rust redis
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
		$(CARGO) nextest run --workspace && $(CARGO) test --doc --workspace; \
	else \
		echo "cargo-nextest is not installed; cargo test runs the same tests, and those of whole"; \
		echo "installations one after the other"; \
		$(MAKE) --no-print-directory test-plain; \
	fi

# The same without cargo-nextest. Tests of whole installations want the machine to themselves, so
# they are left out first and then run one after the other.
test-plain: rust redis
	$(CARGO) test --workspace -- $(ONLY) --skip e2e::
	$(CARGO) test -p holdfast --test it -- e2e::$(ONLY) --test-threads=1

lint: rust
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps
	@if command -v cargo-deny >/dev/null; then \
		$(CARGO) fetch --quiet && $(CARGO) deny --offline check bans licenses sources; \
	else \
		echo "NOT CHECKED: bans, licences and sources, because cargo-deny is not installed"; \
		echo "  (make cargo-deny installs it)"; \
	fi
	@if command -v promtool >/dev/null; then \
		promtool test rules deploy/prometheus/alerts_test.yml; \
	else \
		echo "NOT CHECKED: when alerts fire, because promtool (of Prometheus) is not installed"; \
	fi

# Lets everything fail at the same time and compares the books, in some 40 minutes, or less:
# make chaos SEED=7 PAYMENTS=5000, make chaos REPORT=docs/reliability/chaos.json
chaos: rust redis
	$(CARGO) build --release --bins -p holdfast -p holdfast-rig
	@target/release/chaos --seed $(SEED) --payments $(PAYMENTS) $(if $(REPORT),--report $(REPORT))

# Makes payments through faults, compares their books, plants differences, and compares again:
# make reconcile, make reconcile BOOKS=1000
reconcile: rust redis
	$(CARGO) build --bins -p holdfast -p holdfast-rig
	@target/debug/reconcile --payments $(BOOKS)

# The real worker against the gateway's engine in virtual time, once for each seed:
# make simulate SEEDS=10000 FROM=0. A seed that fails is told with the command that shows why. On a
# gateway at its weakest: make simulate WEAKEST=park.
simulate: rust
	$(CARGO) build --release -p holdfast-simulation
	@target/release/simulate --from $(FROM) --seeds $(SEEDS) --jobs $$(nproc) \
		$(if $(WEAKEST),--weakest $(WEAKEST)) \
		$(if $(REPORT),--report $(REPORT))

# Lets a fuzzer look for bytes from outside that are read wrongly: make fuzz FUZZ_SECONDS=600, or
# make fuzz TARGETS=answer. The tests read the seeds and small changes of them in every run.
# Unlike a release it is not optimised across crates, which would take a quarter of an hour.
fuzz: rust cargo-fuzz
	@mkdir -p target/fuzzed; rm -f target/fuzzed/*; set -o pipefail; \
	export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16; \
	for target in $(TARGETS); do \
		echo "== $$target, for $(FUZZ_SECONDS) s"; mkdir -p fuzz/corpus/$$target; \
		$(CARGO) +nightly fuzz run --sanitizer none --features libfuzzer $$target \
			fuzz/corpus/$$target fuzz/seeds/$$target -- -verbosity=0 -print_final_stats=1 \
			-max_total_time=$(FUZZ_SECONDS) -timeout=10 2>&1 | tee target/fuzzed/$$target.log \
			| grep -v ' # Uses: \|recommended dictionary' || exit 1; \
	done
	$(if $(REPORT),$(CARGO) build -p holdfast-rig && target/debug/reliability keep $(REPORT) \
		"make fuzz FUZZ_SECONDS=$(FUZZ_SECONDS)" -- target/debug/reliability fuzzed target/fuzzed)

# Makes docs/reliability.md anew, from docs/reliability/: the text of page.md, and what the last long
# runs kept there (make simulate REPORT=docs/reliability/simulate.json, and so on).
reliability: rust
	$(CARGO) build -p holdfast-rig
	@target/debug/reliability

# Every I/O of every flow, struck in every manner: one at a time, two at a time, and with every job
# delivered twice. make crash-points, make crash-points PAIRS= for the singles alone. A case that
# fails is told with the command that shows why.
crash-points: rust
	$(CARGO) build --release -p holdfast-simulation
	@target/release/crash-points --jobs $$(nproc) $(if $(PAIRS),,--singles) \
		$(if $(REPORT),--report $(REPORT))

# Tries the API of a running worker with requests that are made up from its OpenAPI document: no
# answer that is not documented, none that says the worker failed. That requests which fit the
# document can be refused is no fault: a key was used before, an account is not there.
api: rust redis schemathesis
	$(CARGO) build --bins -p holdfast -p holdfast-rig
	@target/debug/beside -- sh -c 'exec target/python/bin/schemathesis --no-color run \
		"$$HOLDFAST_API/v1/openapi.json" -H "Authorization: Bearer $$HOLDFAST_KEY" \
		--max-examples $(CASES) --request-timeout 30 --continue-on-failure \
		--exclude-checks positive_data_acceptance'

# Tries the examples of producers beside a worker, with a guest in a headless Chromium. Says what it
# could not try.
examples: rust redis chromium
	$(CARGO) build --bins -p holdfast -p holdfast-rig
	@[ -d target/python ] || python3 -m venv target/python || echo "python3-venv is missing"
	@target/python/bin/pip install --quiet redis==8.1.0 cryptography==48.0.0 \
		|| echo "redis and cryptography could not be installed from PyPI"
	@if command -v npm >/dev/null; then npm install --silent --prefix target/node redis@6.3.1 \
		|| echo "redis could not be installed from npm"; fi
	@target/debug/beside -- tests/examples.sh

# The operator's desk in a headless Chromium, beside a whole installation: every page in light and dark,
# wide and narrow, kept as images in target/desk. Says what it could not try.
desk: rust redis chromium
	$(CARGO) build --bins -p holdfast -p holdfast-rig
	@target/debug/desk

chromium:
	@command -v chromedriver >/dev/null || { echo "chromium-driver is missing; installing it"; \
		if [ "$$(id -u)" = 0 ]; then SUDO=; else SUDO=sudo; fi; \
		timeout 300 $$SUDO sh -c 'apt-get update -qq && apt-get install -y -qq --no-install-recommends \
			chromium chromium-driver >/dev/null' || echo "Chromium could not be installed"; }

# How prompt, how much, at what cost: make bench BENCH="--quick", BENCH="--against path/to/holdfast"
bench: rust redis
	$(CARGO) build --release --bins -p holdfast -p chip-sandbox -p holdfast-rig
	@target/release/bench $(BENCH)

# Searches all that can happen to a payment within bounds, in about two minutes: make model,
# make model ROW=no_gate
model: rust
	$(CARGO) build --release -p holdfast-model $(if $(REPORT),-p holdfast-rig)
	@$(if $(REPORT),target/release/reliability keep $(REPORT) "make model" -- target/release/model --json,\
		target/release/model $(if $(ROW),--row $(ROW)))

# Breaks each rule of the protocol in some way, in a copy of the tree, and tells what noticed:
# make mutants, make mutants ONLY=R7, make mutants ONLY=a-seal-is-read-once
mutants: rust redis nextest
	$(CARGO) build --profile mutants -p holdfast-mutants
	@target/mutants/mutants --seeds 1000 $(addprefix --only ,$(ONLY)) $(if $(REPORT),--report $(REPORT))

# Every small change of what decides about money, against the tests beside it, file by file; an hour
# or two for all. With make cargo-mutants FILES=src/payment/reading.rs what was found of the other
# files stays, as long as they are as they were; with AGAIN=1 only what was missed is tried again.
# What nothing can notice is explained in docs/reliability/survivors.toml; all else must be noticed.
cargo-mutants: rust
	@$(CARGO) mutants --version >/dev/null 2>&1 || { \
		echo "cargo-mutants is missing; installing it"; \
		$(CARGO) install cargo-mutants --locked --version '^27'; }
	$(CARGO) build -p holdfast-rig
	@for file in $(FILES); do \
		out=$(CHANGES)/$$(echo $$file | tr / _); $(if $(AGAIN),,rm -rf $$out;) \
		mkdir -p $$out; [ -e $$out/source.rs ] || cp $$file $$out/source.rs; \
		CARGO_TARGET_DIR=$(CURDIR)/target $(CARGO) mutants -p holdfast-core -f "**/$$file" -o $$out \
			$(if $(AGAIN),--iterate); \
		[ ! -e $$out/mutants.out/outcomes.json ] || \
			cp $$out/mutants.out/outcomes.json $$out/$$(date +%s).json; \
	done; target/debug/reliability cargo-mutants $(CHANGES) $(if $(REPORT),--report $(REPORT))

fmt:
	$(CARGO) fmt --all

rust:
	@have="$$(rustc --version 2>/dev/null | cut -d' ' -f2)"; \
	[ -n "$$have" ] && [ "$$(printf '%s\n' $(RUST_FLOOR) "$$have" | sort -V | head -1)" = $(RUST_FLOOR) ] || { \
		echo "rustc $(RUST_FLOOR) or later is needed, here is $${have:-none}: run 'rustup update stable',"; \
		echo "or install Rust from https://rustup.rs"; exit 1; }

# Redis 7, for a private server of each run; nothing is left running.
redis:
	@command -v redis-server >/dev/null || { \
		echo "redis-server is missing; installing it from the system's packages"; \
		if [ "$$(id -u)" = 0 ]; then SUDO=; else SUDO=sudo; fi; \
		$$SUDO apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive $$SUDO apt-get install -y -qq redis-server >/dev/null && \
		{ $$SUDO service redis-server stop >/dev/null 2>&1 || true; }; }
	@have="$$(redis-server --version | sed -n 's/.*v=\([0-9.]*\).*/\1/p')"; \
	[ "$${have%%.*}" -ge $(REDIS_FLOOR) ] 2>/dev/null || { \
		echo "redis-server $(REDIS_FLOOR) or later is needed, here is $${have:-none}: this system's packages are"; \
		echo "too old; install it from https://redis.io/docs/latest/operate/oss_and_stack/install/"; \
		echo "and put it first in PATH"; exit 1; }

cargo-deny:
	@command -v cargo-deny >/dev/null || { \
		echo "cargo-deny is missing; installing it, which takes some minutes"; \
		$(CARGO) install cargo-deny --locked; }

schemathesis:
	@target/python/bin/schemathesis --version 2>/dev/null | grep -q '$(SCHEMATHESIS)' || { \
		echo "schemathesis is missing; installing it into target/python"; \
		python3 -m venv target/python 2>/dev/null || { \
			if [ "$$(id -u)" = 0 ]; then SUDO=; else SUDO=sudo; fi; \
			$$SUDO apt-get update -qq && \
			DEBIAN_FRONTEND=noninteractive $$SUDO apt-get install -y -qq python3-venv >/dev/null && \
			python3 -m venv --clear target/python; } && \
		target/python/bin/pip install --quiet schemathesis==$(SCHEMATHESIS); }

# The fuzzer needs instrumentation that only the nightly compiler has.
cargo-fuzz:
	@$(CARGO) +nightly --version >/dev/null 2>&1 || rustup toolchain install nightly --profile minimal
	@$(CARGO) fuzz --version >/dev/null 2>&1 || { \
		echo "cargo-fuzz is missing; installing it"; $(CARGO) install cargo-fuzz --locked; }

nextest:
	@$(CARGO) nextest --version >/dev/null 2>&1 || { \
		echo "cargo-nextest is missing; installing it"; \
		$(CARGO) install cargo-nextest --locked; }
