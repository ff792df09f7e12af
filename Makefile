# The two commands of the README: `make demo` and `make test`. Each installs what is missing,
# says what it does, and stops what it started.

SHELL := /bin/bash
CARGO ?= cargo
SEED ?= 1
COUNT ?= 1000
SECONDS_OF_FAULTS ?= 60
SEEDS ?= 10000
FROM ?= 0

.PHONY: demo test lint bench torture simulate redis nextest fmt

demo: redis
	$(CARGO) build --bins -p holdfast -p chip-sandbox -p holdfast-rig
	@target/debug/demo $(if $(KEEP),--keep)

test: redis
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
		$(CARGO) nextest run --workspace && $(CARGO) test --doc --workspace; \
	else \
		echo "cargo-nextest is not installed; cargo test runs the same tests, one after the other"; \
		$(CARGO) test --workspace; \
	fi

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps
	@if command -v cargo-deny >/dev/null; then \
		$(CARGO) fetch --quiet && $(CARGO) deny --offline check bans licenses sources; \
	else \
		echo "cargo-deny is not installed: licences and bans are not checked here"; \
	fi

# Kills workers at random under faults, and compares the books: make torture SEED=7 COUNT=5000
torture: redis
	$(CARGO) build --release --bins -p holdfast -p holdfast-rig
	@target/release/torture --seed $(SEED) --count $(COUNT) --seconds $(SECONDS_OF_FAULTS)

# The real worker against the gateway's engine in virtual time, once for each seed:
# make simulate SEEDS=10000 FROM=0. A seed that fails is told with the command that shows why.
simulate:
	$(CARGO) build --release -p holdfast-simulation
	@target/release/simulate --from $(FROM) --seeds $(SEEDS) --jobs $$(nproc)

# How prompt, how much, at what cost: make bench BENCH="--quick", BENCH="--against path/to/holdfast"
bench: redis
	$(CARGO) build --release --bins -p holdfast -p chip-sandbox -p holdfast-rig
	@target/release/bench $(BENCH)

fmt:
	$(CARGO) fmt --all

# Redis 7, for a private server of each run; nothing is left running.
redis:
	@command -v redis-server >/dev/null || { \
		echo "redis-server is missing; installing it from the system's packages"; \
		if [ "$$(id -u)" = 0 ]; then SUDO=; else SUDO=sudo; fi; \
		$$SUDO apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive $$SUDO apt-get install -y -qq redis-server >/dev/null && \
		{ $$SUDO service redis-server stop >/dev/null 2>&1 || true; }; }

nextest:
	@$(CARGO) nextest --version >/dev/null 2>&1 || { \
		echo "cargo-nextest is missing; installing it"; \
		$(CARGO) install cargo-nextest --locked; }
