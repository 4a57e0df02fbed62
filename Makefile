# The entry points. `make` lists them.
PYTHON := target/python
export RUST_BACKTRACE ?= 0
# On Debian, as root; elsewhere these must be there: python3-venv, nodejs, npm, chromium.
APT := apt-get update --quiet && apt-get install -y --quiet

.PHONY: help demo test test-slow fuzz bench instructions check wheel

help: ## list the entry points
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

demo: ## build cxlake, and run the main job on an embedded tenant into ./cxlake-demo
	cargo run --locked --profile demo --no-default-features --bin cxlake -- demo

test: $(PYTHON)/.ready target/airflow/.ready target/npm/.ready target/tools/bin/s3s-fs target/bigquery/.ready target/openlineage/.ready ## install what the tests need (into target/), and pass all tests
	cargo test --locked --workspace --no-run
	@rm -rf target/test-wheel
	cd python && ../target/airflow/bin/maturin build --locked --profile dev --target-dir ../target --out ../target/test-wheel
	cargo test --locked --workspace

test-slow: test fuzz instructions target/tools/bin/garage ## the same with ten times as many crash points, faults and records, a soak, the fuzz targets, and the guard of the hot path
	CXLAKE_TEST_SEEDS=2000 cargo test --locked -p cxlake --test it under_random_faults
	cargo test --locked -p cxlake-sinks three_runs -- --ignored
	CXLAKE_TEST_POINTS=all cargo test --locked -p cxlake --test it -- crash_points kills
	cargo test --locked -p cxlake --test it twenty_days -- --ignored
	cargo test --locked -p cxlake --test it -- --ignored local_executor garage
	$(MAKE) wheel WHEEL_PROFILE=dev
	CXLAKE_TEST_WHEELS=$(CURDIR)/target/wheels cargo test --locked -p cxlake --test it a_wheel_in_an_empty_environment
	CXLAKE_TEST_CASES=2000000 cargo test --locked -p cxlake --test it both_validators_agree

# Linked by zig, so that it runs on every Linux since 2014.
WHEEL_PROFILE ?= release
wheel: target/airflow/.ready ## build the wheel that carries the binary (into target/wheels)
	@rm -rf target/wheels
	cd python && PATH=$(CURDIR)/target/airflow/bin:$$PATH maturin build --locked --profile $(WHEEL_PROFILE) --zig \
		--compatibility manylinux2014 --target-dir $(CURDIR)/target/wheel-build --out $(CURDIR)/target/wheels

# libFuzzer's coverage by flags that stable Rust has.
FUZZ_RUNS ?= 1000000
FUZZ_FLAGS := -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing
fuzz: $(addprefix fuzz-,page record) ## run each fuzz target FUZZ_RUNS times (1,000,000)

fuzz-%:
	@mkdir -p target/fuzz/corpus/$*
	RUSTFLAGS="$(FUZZ_FLAGS)" cargo run --locked --release --manifest-path tests/fuzz/Cargo.toml --target-dir target/fuzz \
		--target $$(rustc --print host-tuple) --bin $* -- -runs=$(FUZZ_RUNS) -seed=1 -max_len=4096 -verbosity=0 \
		-dict=tests/fuzz/json.dict target/fuzz/corpus/$* tests/fuzz/seeds/$*

# A guard that no clock can blur, in `make test-slow`.
instructions: ## count the instructions of the hot path, and compare them with the kept figures
	@command -v valgrind > /dev/null || ($(APT) valgrind)
	python3 tests/bench/instructions.py $(KEEP) -- cargo build --locked --profile bench --no-default-features \
		--target-dir target/bench-build -p cxlake --bench one_stage

# What cxlake does and what others do, over the same simulated tenant, with cxlake's stores and warehouses left out of
# the build: they are not in its way, and take most of the time to build.
BENCH := target/bench/.ready target/plain-rust/release/plain-rust
BENCH_ARGUMENTS ?= --rounds 5 --records 1000000 --plain-numbers
bench: $(BENCH) ## micro-benchmarks of the hot path, and cxlake beside other tools (into target/bench/comparison.md)
	cargo bench --locked --no-default-features --target-dir target/bench-build -p cxlake --bench hot_path
	cargo build --locked --profile bench --no-default-features --target-dir target/bench-build -p cxlake -p cxlake-simulator --bins
	target/bench/bin/python tests/bench/compare.py $(BENCH_ARGUMENTS)
	target/bench/bin/python tests/bench/hostile.py

target/bench/.ready: tests/bench/requirements.txt
	@mkdir -p target
	python3 -m venv target/bench || ($(APT) python3-venv && python3 -m venv target/bench)
	target/bench/bin/pip install --quiet --disable-pip-version-check -r tests/bench/requirements.txt
	@touch $@

target/plain-rust/release/plain-rust: tests/bench/plain_rust/Cargo.toml tests/bench/plain_rust/src/main.rs
	cargo build --locked --release --manifest-path tests/bench/plain_rust/Cargo.toml --target-dir target/plain-rust

check: ## formatting, clippy and rustdoc without warnings, and the fuzz targets' lock file
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked -p cxlake --no-default-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps
	cargo metadata --locked --format-version 1 --manifest-path tests/fuzz/Cargo.toml > /dev/null

# Stores that speak the vendors' protocols: Azurite from npm, s3s-fs (which checks signatures) and Garage (which ignores
# conditions) from crates.io.
target/npm/.ready: Makefile
	@command -v npm > /dev/null || ($(APT) nodejs npm)
	npm install --silent --no-audit --no-fund --prefix target/npm azurite@3.37.0
	@touch $@

target/tools/bin/s3s-fs:
	CARGO_TARGET_DIR=target/tools/build cargo install --quiet --locked --debug --root target/tools s3s-fs --version 0.14.1 --features binary
	@rm -rf target/tools/build

target/tools/bin/garage:
	CARGO_TARGET_DIR=target/tools/build cargo install --quiet --locked --debug --root target/tools garage --version 2.5.0 --no-default-features --features bundled-libs,sqlite
	@rm -rf target/tools/build

# OpenLineage's public JSON Schemas, which this crate carries word for word.
OPENLINEAGE := datafusion-openlineage@0.0.12
target/openlineage/.ready:
	cd / && cargo info --quiet $(OPENLINEAGE) > /dev/null
	@mkdir -p target/openlineage
	@cp -r $${CARGO_HOME:-$$HOME/.cargo}/registry/src/*/$(subst @,-,$(OPENLINEAGE))/tests/schemas/openlineage/* target/openlineage/
	@touch $@

# BigQuery's stand-in.
target/bigquery/.ready: tests/install-bigquery.sh tests/bigquery-requirements.txt
	tests/install-bigquery.sh target/bigquery
	@touch $@

# Airflow, which runs the example DAGs, and what builds the wheel.
target/airflow/.ready: tests/airflow-requirements.txt
	python3 -m venv target/airflow || ($(APT) python3-venv && python3 -m venv target/airflow)
	target/airflow/bin/pip install --quiet --disable-pip-version-check -r tests/airflow-requirements.txt
	@touch $@

# DuckDB's extension for S3 comes from PyPI too, for the tests need no other host.
$(PYTHON)/.ready: tests/requirements.txt
	@mkdir -p target
	@command -v chromium > /dev/null || ($(APT) --no-install-recommends chromium)
	python3 -m venv $(PYTHON) || ($(APT) python3-venv && python3 -m venv $(PYTHON))
	$(PYTHON)/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	$(PYTHON)/bin/python -c "from duckdb_extensions import import_extension; import_extension('httpfs'); import_extension('azure')"
	$(PYTHON)/bin/pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(PYTHON)/duckdb-1.1 duckdb==1.1.3
	@touch $@
