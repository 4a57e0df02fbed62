# The entry points. `make` lists them.
PYTHON := target/python
export RUST_BACKTRACE ?= 0

.PHONY: help demo test test-slow check

help: ## list the entry points
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

demo: ## build cxlake, and run the main job on an embedded tenant into ./cxlake-demo
	cargo run --locked --bin cxlake -- demo

test: $(PYTHON)/.ready ## install what the tests need (into target/), and pass all tests
	cargo test --locked --workspace

test-slow: test ## the same with twenty times as many scripts of random faults
	CXLAKE_TEST_SEEDS=2000 cargo test --locked -p cxlake --test it under_random_faults

check: ## formatting, clippy and rustdoc without warnings
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked -p cxlake --no-default-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

# DuckDB's extension for S3 comes from PyPI too, for the tests need no other host.
$(PYTHON)/.ready: tests/requirements.txt
	@mkdir -p target
	python3 -m venv $(PYTHON) || (apt-get install -y python3-venv && python3 -m venv $(PYTHON))
	$(PYTHON)/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	$(PYTHON)/bin/python -c "from duckdb_extensions import import_extension; import_extension('httpfs')"
	$(PYTHON)/bin/pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(PYTHON)/duckdb-1.1 duckdb==1.1.3
	@touch $@
