# What people run here. Each target installs what it needs (Debian packages by apt, tools into target/, hls.js by npm).
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BUILD_PACKAGES := build-essential cmake pkg-config
DEMO_PACKAGES := ffmpeg curl fonts-dejavu-core
# git lists the work tree to a test, kill (procps) sends signals, python3 serves a folder.
TEST_PACKAGES := ffmpeg curl fonts-dejavu-core chromium npm git procps python3
# Players that start on what the server makes.
PLAYER_PACKAGES := mpv vlc-bin vlc-plugin-base
NEXTEST := target/tools/bin/cargo-nextest nextest

.PHONY: help run serve test test-long fuzz bench bench-tools assets lint tools encoder browser build-packages test-packages

help: ## This list
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

run: build-packages assets ## Demo: server, moving test picture with tone and clock, the URL that plays it; Ctrl-C ends all
	@.ci/need $(DEMO_PACKAGES)
	# Not incremental: a build that was interrupted can leave rustc a cache that no longer links.
	CARGO_INCREMENTAL=0 cargo build --locked -p rapidrtmp
	@deploy/demo.sh target/debug/rapidrtmp

serve: build-packages assets ## The server alone, optimised
	cargo build --locked --release -p rapidrtmp
	@exec target/release/rapidrtmp serve

test: test-packages assets tools encoder browser ## Every test but the long ones
	cargo build --locked -p rapidrtmp -p rapidrtmp-bench
	$(NEXTEST) run --workspace --locked

test-long: test-packages assets tools encoder browser ## Ten real minutes of conformance, other players, and the heavy cases
	@.ci/need $(PLAYER_PACKAGES)
	cargo build --locked -p rapidrtmp -p rapidrtmp-bench
	# Thousands of connections need as many descriptors, in the test and in the server.
	ulimit -Sn "$$(ulimit -Hn)"; $(NEXTEST) run --workspace --locked --profile long --run-ignored only

# Each fuzz target runs for so long; what it finds anew is kept below target/.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= $(notdir $(wildcard tests/fuzz/corpus/*))
# cargo-fuzz passes flags that a stable compiler takes only so. No LTO: it takes the coverage's counters apart.
FUZZ := RUSTC_BOOTSTRAP=1 CARGO_PROFILE_RELEASE_LTO=false CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 target/tools/bin/cargo-fuzz fuzz

fuzz: build-packages target/tools/bin/cargo-fuzz ## The parsers against random input: the property tests with many more cases, then each fuzz target for FUZZ_SECONDS
	PROPTEST_CASES=$${PROPTEST_CASES:-20000} cargo test --locked --release -p media -p rtmp -p cmaf -p hls
	for target in $(FUZZ_TARGETS); do \
	    mkdir -p target/fuzz-corpus/$$target target/fuzz-artifacts/$$target; \
	    $(FUZZ) run --fuzz-dir tests/fuzz --target-dir target/fuzz --features libfuzzer $$target \
	        target/fuzz-corpus/$$target tests/fuzz/corpus/$$target -- -max_total_time=$(FUZZ_SECONDS) -timeout=10 \
	        -max_len=16384 -artifact_prefix=target/fuzz-artifacts/$$target/; \
	done

target/tools/bin/cargo-fuzz: | tools
	cargo install cargo-fuzz --version 0.13.2 --locked --root target/tools

bench: build-packages assets ## Ten publishers against a fresh server, and what a player sees meanwhile
	@.ci/need procps
	cargo build --locked --release -p rapidrtmp -p rapidrtmp-bench
	@deploy/bench.sh target/release

bench-tools: build-packages assets ## What deploy/bench/compare.py takes to set servers side by side
	@.ci/need ffmpeg nginx libnginx-mod-rtmp wrk python3
	cargo build --locked --release -p rapidrtmp -p rapidrtmp-bench

assets: assets/hls.min.js ## hls.js, pinned by version and integrity, for the server to embed

assets/hls.min.js: deploy/assets/package.json deploy/assets/package-lock.json
	@.ci/need npm
	cd deploy/assets && npm ci --no-audit --no-fund
	@mkdir -p assets
	cp deploy/assets/node_modules/hls.js/LICENSE assets/hls.LICENSE
	cp deploy/assets/node_modules/hls.js/dist/hls.min.js $@

lint: build-packages tools ## Format, clippy, documentation, licences
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked
	target/tools/bin/cargo-deny --locked check bans licenses sources

tools: build-packages target/tools/.installed

target/tools/.installed: .ci/tools.txt
	@.ci/need python3 python3-venv
	python3 -m venv target/tools
	target/tools/bin/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r .ci/tools.txt
	@touch $@

encoder: tools target/tools/.encoder

# ffmpeg 9, for tests: Debian's does not send Enhanced RTMP.
target/tools/.encoder: .ci/encoder.txt target/tools/.installed
	target/tools/bin/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r .ci/encoder.txt
	@touch $@

browser: test-packages tests/browser/node_modules/.package-lock.json

tests/browser/node_modules/.package-lock.json: tests/browser/package.json tests/browser/package-lock.json
	cd tests/browser && npm ci --no-audit --no-fund
	@touch $@

build-packages:
	@.ci/need $(BUILD_PACKAGES)

test-packages: build-packages
	@.ci/need $(TEST_PACKAGES)
