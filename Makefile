# Every target makes what it needs, on a machine that has only Python, git and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-long bench lint clean

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

$(VENV)/.installed-lint: $(VENV)/.installed-test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,lint]'
	touch $@

demo: $(VENV)/.installed
	$(BIN)/callwheel demo

# The product is started hundreds of times by its tests: it keeps what Python compiles of it, whatever an
# environment says, as each of its processes would compile it anew otherwise.
unexport PYTHONDONTWRITEBYTECODE

# Two workers where each can have a network of its own; then what measures time, by itself.
WORKERS := $(shell unshare --net true 2>/dev/null && echo 2 || echo 0)
PYTEST := $(BIN)/python -m pytest

test: $(VENV)/.installed-test
	$(PYTEST) -m "not alone" -n $(WORKERS) --dist loadfile
	$(PYTEST) -m alone

test-long: $(VENV)/.installed-test
	CALLWHEEL_TEST_SIZE=long $(PYTEST)

bench: $(VENV)/.installed
	$(BIN)/callwheel bench --json bench-results/bench.json --html bench-results/bench.html

lint: $(VENV)/.installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache *.egg-info
