# make demo   real pictures and questions become a sealed snapshot of judged triples, a small Phantom trains on it and answers over HTTP
# make test   lint, types, unit tests and integration tests (with a real vLLM)
# make long   more integration tests of half a minute to two minutes each, which do not fit into the quarter of an hour that make test may take
# make evidence  what curation and rating are worth, twelve seeds of short runs; docs/evidence.md and its plot; killed, it goes on (evidence-out/)
# All create .venv first if it is missing or its pins changed.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
STAMP := .venv/.installed-$(shell cat requirements.lock setup.py Makefile | sha256sum | cut -c1-12)
export HF_HUB_OFFLINE ?= 1

.PHONY: demo test long unit lint evidence clean-demo

demo: $(STAMP)
	$(BIN)/phantom demo-data demo-out/data
	$(BIN)/phantom build recipes/demo.yaml --out demo-out
	$(BIN)/phantom train --snapshot demo-out/triples --preset tiny-start --set 'sources=[shapes]' --max-steps 240 --out demo-out/start
	$(BIN)/phantom train --snapshot demo-out/triples --preset tiny-step1 --set 'sources=[shapes]' --init demo-out/start --max-steps 30 --out demo-out/step1
	$(BIN)/phantom train --snapshot demo-out/triples --preset tiny-step2 --set 'sources=[shapes]' --init demo-out/step1 --max-steps 40 --out demo-out/checkpoint
	$(BIN)/python -m benchmarks.held_out_shapes demo-out/checkpoint
	$(BIN)/phantom show demo-out
	OMP_NUM_THREADS=1 $(BIN)/phantom serve demo-out/checkpoint --port 0 --name demo --ask "What is the color of the shape?" --image demo-out/data/shapes/images/0001.png

test: lint
	$(BIN)/pytest -q -n 2 --dist loadfile -m "not integration"
	$(BIN)/pytest -q -n 2 --dist loadgroup -m "integration and not long"

long: $(STAMP)
	$(BIN)/pytest -q -m long

evidence: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.evidence --out evidence-out --docs docs --seeds 12 --processes 2

unit: $(STAMP)
	$(BIN)/pytest -q -n 2 --dist loadfile -m "not integration"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy -p schemas -p curation -p pipelines -m phantom

# torch comes with its dependencies (on a GPU machine these are the CUDA wheels); the rest exactly as locked.
$(STAMP): requirements.lock setup.py Makefile
	$(PYTHON) -c 'import sys; assert sys.version_info[:2] == (3, 11), f"expected Python 3.11, found {sys.version.split()[0]}; install it or pass PYTHON=/path/to/python3.11"'
	@echo 'make: .venv is missing or its pins changed. About 3.6 GB are fetched from the package index (torch, vLLM and what they need are most of it),'
	@echo 'make: once. pip names each file with its size; while it unpacks them ("Installing collected packages") nothing is told for minutes.'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install torch==2.13.0
	$(BIN)/pip install --no-deps -r requirements.lock
	$(BIN)/pip install -q --no-deps --no-build-isolation -e .
	rm -f .venv/.installed-*
	touch $@

clean-demo:
	$(BIN)/phantom clean demo-out --yes
