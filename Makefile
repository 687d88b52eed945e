# One Python environment in .venv, made by `make install`; every other target uses it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install demo test fast check check-style format bench bench-env docs golden clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $(STAMP)

# The whole lineage of recipes/village.yaml, then its report.
demo: install
	$(BIN)/sampan run recipes/village.yaml
	$(BIN)/sampan report recipes/village.yaml --out village.html
	@echo "Open village.html in a browser; talk to the result with: $(BIN)/sampan chat village/final"

test: install
	$(BIN)/python -m pytest

# Only the tests that take seconds.
fast: install
	$(BIN)/python -m pytest -m "not slow"

check: check-style
	$(BIN)/python -m pytest -m "not slow"

check-style: install
	$(BIN)/ruff check src tests benchmarks tools docs
	$(BIN)/ruff format --check src tests benchmarks tools docs

format: install
	$(BIN)/ruff check --fix src tests benchmarks tools docs
	$(BIN)/ruff format src tests benchmarks tools docs

# Each script runs us and the peer in turn on the same input and prints one line of JSON.
# They need the shared data (SAMPAN_SHARED); mixture_vs_lightgbm.py needs RegMix's published results and is run by hand.
bench: install bench-env
	$(BIN)/python -m pip install --quiet -e '.[bench,fast]'
	for script in $(filter-out %_lightgbm.py,$(wildcard benchmarks/*_vs_*.py benchmarks/*_equals_*.py)); do \
	  $(BIN)/python $$script --out benchmarks/results/$$(basename $$script .py).json || failed="$$failed $$script"; \
	done; test -z "$$failed" || { echo "below the bar:$$failed"; exit 1; }

# Peers whose requirements do not go together with ours: one environment each, .venv-NAME from benchmarks/peers/NAME.txt.
# Training's peers pull in torch, and LLaMA-Factory much more; `make bench-env PEERS="peers trl"` leaves the others out, and
# train_vs_peers.py then names those that it did without.
PEERS ?= peers mergekit trl litgpt llamafactory

bench-env: $(addprefix .venv-,$(addsuffix /.installed,$(PEERS)))

.venv-%/.installed: benchmarks/peers/%.txt
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet -r $<
	touch $@

# Regenerate the reference pages and the golden files; both are checked by tests.
docs: install
	$(BIN)/python docs/generate.py

golden: install
	$(BIN)/python -m pytest tests --update-golden -m "not slow" -q

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
