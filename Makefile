# The two commands of the README: `make demo` and `make test`. Each installs what is missing,
# says what it does, and stops what it started.

SHELL := /bin/bash
CARGO ?= cargo
SEED ?= 1
COUNT ?= 1000
SECONDS_OF_FAULTS ?= 60
# The versions of Rust and Redis that are needed: `rust-version` in Cargo.toml, and what the
# scripts in src/store/redis/ use.
RUST_FLOOR := 1.90
REDIS_FLOOR := 7
# Only tests with this in their name, for `make test-plain`.
ONLY ?=

SEEDS ?= 10000
FROM ?= 0

.PHONY: demo test test-plain lint bench torture model simulate mutants cargo-mutants redis rust nextest cargo-deny fmt

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

# Kills workers at random under faults, and compares the books: make torture SEED=7 COUNT=5000
torture: rust redis
	$(CARGO) build --release --bins -p holdfast -p holdfast-rig
	@target/release/torture --seed $(SEED) --count $(COUNT) --seconds $(SECONDS_OF_FAULTS)

# The real worker against the gateway's engine in virtual time, once for each seed:
# make simulate SEEDS=10000 FROM=0. A seed that fails is told with the command that shows why.
simulate: rust
	$(CARGO) build --release -p holdfast-simulation
	@target/release/simulate --from $(FROM) --seeds $(SEEDS) --jobs $$(nproc)

# How prompt, how much, at what cost: make bench BENCH="--quick", BENCH="--against path/to/holdfast"
bench: rust redis
	$(CARGO) build --release --bins -p holdfast -p chip-sandbox -p holdfast-rig
	@target/release/bench $(BENCH)

# Searches all that can happen to a payment within bounds, in about two minutes: make model,
# make model ROW=no_gate
model: rust
	$(CARGO) build --release -p holdfast-model
	@target/release/model $(if $(ROW),--row $(ROW))

# Breaks each rule of the protocol in some way, in a copy of the tree, and tells what noticed:
# make mutants, make mutants ONLY=R7, make mutants ONLY=a-seal-is-read-once
mutants: rust redis nextest
	$(CARGO) build --profile mutants -p holdfast-mutants
	@target/mutants/mutants --seeds 1000 $(addprefix --only ,$(ONLY)) $(if $(REPORT),--report $(REPORT))

# Every small change of what decides about money, against the tests that are near it; hours for
# all: make cargo-mutants FILE=src/payment/reading.rs
cargo-mutants: rust nextest
	@$(CARGO) mutants --version >/dev/null 2>&1 || { \
		echo "cargo-mutants is missing; installing it"; \
		$(CARGO) install cargo-mutants --locked --version '^27'; }
	$(CARGO) mutants -p holdfast $(if $(FILE),--re '^$(FILE):') -o target

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

nextest:
	@$(CARGO) nextest --version >/dev/null 2>&1 || { \
		echo "cargo-nextest is missing; installing it"; \
		$(CARGO) install cargo-nextest --locked; }
