# Kiln's everyday commands. `make help` lists them; each target says what it does while it does it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

BIN := .venv/bin
LAB_CMD := tests/lab/lab
# Runs what follows against the lab, or with LAB=external against the caller's own cluster and cloud.
IN_LAB = eval "$$($(LAB_CMD) env)" &&

# Settings of single targets, as in `make chaos KILLS=200 SEED=7`.
KILLS ?= 20
SEED ?= 1
SETTLES ?= 240
VECTORS ?=
TEMPLATES ?=
RUNS ?= 3
FUZZ ?= 400
PEERS ?=
ONLY ?=
RESULTS ?=
SCENARIOS ?=
KEEP ?=
SCALE ?= 1
JSON ?=
MARKDOWN ?=
VERSION ?=
URL ?=
PYTEST_ARGS ?=

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---- the project -------------------------------------------------------------------------------------------------

PIP_INSTALL := $(BIN)/python -m pip install -q --disable-pip-version-check

.PHONY: install
install: .venv/.installed ## make .venv with the project and its tools; again only when the dependencies have changed

# The locks name everything. Left to itself, pip takes the newest of what a package names with an extra (coverage[toml]),
# and refuses it, for the lock has no hash of it.
.venv/.installed: pyproject.toml requirements/dev.txt
	@echo "==> install: the project and its locked tools into .venv (the first time, about a minute)"
	@python=$$($(LAB_CMD) python); $(BIN)/python -c '' 2>/dev/null || "$$python" -m venv --clear .venv
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip -q
	@$(PIP_INSTALL) --require-hashes --no-deps -r requirements/dev.txt
	@$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

LOCK := uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

.PHONY: lock
lock: ## write requirements/*.txt from pyproject.toml (UPGRADE=1: the newest versions)
	@echo "==> lock: requirements/"
	@uv=$(BIN)/uv; [ -x $$uv ] || { $(MAKE) -s .venv/.installed; }; export PATH="$(CURDIR)/$(BIN):$$PATH"; \
	  $(LOCK) pyproject.toml -o requirements/runtime.txt; \
	  $(LOCK) requirements/build.in -o requirements/build.txt; \
	  $(LOCK) pyproject.toml --extra dev -c requirements/runtime.txt -c requirements/build.txt -o requirements/dev.txt; \
	  $(LOCK) requirements/audit.in -o requirements/audit.txt; \
	  $(LOCK) requirements/plugin.in -c requirements/runtime.txt -c requirements/build.txt -o requirements/plugin.txt

.PHONY: generate
generate: install ## write what is generated: docs/api.md, docs/resource-types.md, the chart's README, schema and CRDs
	@echo "==> generate"
	@$(BIN)/python docs/generate.py
	@$(BIN)/python charts/generate.py

.PHONY: lint
lint: install ## ruff, mypy, the import contracts, shellcheck
	@echo "==> lint: ruff check";        $(BIN)/ruff check .
	@echo "==> lint: ruff format";       $(BIN)/ruff format --check .
	@echo "==> lint: mypy";              $(BIN)/mypy
	@echo "==> lint: import contracts";  $(BIN)/lint-imports
	@if command -v shellcheck >/dev/null; then \
	  echo "==> lint: shellcheck"; (cd tests/lab && shellcheck lab *.sh cloud/*.sh cloud/services/*.sh); \
	else echo "==> lint: no shellcheck here, the lab's scripts are not checked"; fi
	@if command -v promtool >/dev/null; then \
	  echo "==> lint: promtool"; (cd charts/kiln && promtool check rules alerts.yaml && promtool test rules alerts_test.yaml) >/dev/null; \
	else echo "==> lint: no promtool here, the chart's alerts are not tried"; fi

.PHONY: unit
unit: install ## the tests that need no cloud: seconds
	@echo "==> unit: tests without a cloud"
	@$(BIN)/pytest -q tests/unit tests/conformance $(PYTEST_ARGS)

.PHONY: integration
integration: install lab-up ## the tests on the lab
	@echo "==> integration: tests on a real Kubernetes and a real OpenStack"
	@$(IN_LAB) $(BIN)/pytest tests/integration -m "not faults and not octavia and not lifecycle" $(PYTEST_ARGS)

.PHONY: lifecycle
lifecycle: install lab-up ## operations, approval, suspension, snapshots, outputs, adoption (LAB_HEAT=1), shards: about 40 minutes (KILLS=2: the operator is killed in the middle of two operations of each test)
	@echo "==> lifecycle: long lives of Stacks on the lab"
	@$(IN_LAB) $(if $(filter file,$(origin KILLS)),,KILN_TESTS_KILLS=$(KILLS)) $(BIN)/pytest tests/integration -m lifecycle $(PYTEST_ARGS)

.PHONY: faults
faults: install lab-up ## faults between Kiln, OpenStack and Kubernetes, on the lab: about 12 minutes
	@echo "==> faults: services that fail, answers that get lost, records that disappear"
	@$(IN_LAB) $(BIN)/pytest tests/integration -m faults $(PYTEST_ARGS)

# With KEEP=1 the node goes on running afterwards.
ON_NODE = trap '[ -n "$(KEEP)" ] || $(LAB_CMD) node down' EXIT; $(LAB_CMD) image localhost/kiln:dev; $(LAB_CMD) node up; \
  $(LAB_CMD) node load "$$($(LAB_CMD) image-archive)";

.PHONY: e2e
e2e: install lab-up ## image, node, Helm: install, upgrade, kill, uninstall, in pods (KEEP=1: leave the node running)
	@echo "==> e2e: the image and the chart on a real node, against the lab's OpenStack"
	@$(ON_NODE) $(BIN)/pytest -q tests/e2e $(PYTEST_ARGS)

.PHONY: gitops
gitops: install lab-up ## Stacks from Git by real Argo CD and Flux (the first time 20 minutes to build them; KEEP=1)
	@echo "==> gitops: Argo CD and Flux on the node"
	@$(ON_NODE) $(LAB_CMD) gitops up; $(BIN)/pytest -q tests/gitops $(PYTEST_ARGS)

.PHONY: metrics
metrics: install lab-up ## a real Prometheus on a real run: metrics, dashboards, each alert fires (20 minutes; RESULTS=folder)
	@$(LAB_CMD) packages prometheus
	@echo "==> metrics: Prometheus and an operator to which everything happens"
	@$(IN_LAB) RESULTS="$(RESULTS)" $(BIN)/pytest -q tests/monitoring $(PYTEST_ARGS)

.PHONY: octavia
octavia: export LAB_SERVICES := $(or $(filter all,$(LAB_SERVICES)),$(LAB_SERVICES) octavia)
octavia: install lab-up ## the types of Octavia on the real one, on the lab: about 20 minutes
	@echo "==> octavia: load balancers, made, changed, disturbed, deleted"
	@$(IN_LAB) $(BIN)/pytest tests/integration -m octavia -s $(PYTEST_ARGS)

.PHONY: hostile
hostile: install lab-up ## hostile clouds, tenants and texts, on the lab: about 10 minutes (FUZZ=2000 tries more texts)
	@echo "==> hostile: bounds on what a cloud answers, fuzzed answers, fuzzed texts, a hostile tenant beside an honest one"
	@$(IN_LAB) FUZZ=$(FUZZ) $(BIN)/pytest -q tests/hostile $(PYTEST_ARGS)

.PHONY: test
test: install lint unit integration ## everything that a change has to pass, the quick first

.PHONY: docs
docs: install ## build the documentation's site into build/site; a link that leads nowhere is an error
	@echo "==> docs: build/site"
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict -q

.PHONY: wheels
wheels: install ## build the wheel, and use it on each supported Python that is here
	@echo "==> wheels: build, install, run"
	@$(BIN)/python tests/packaging/wheels.py wheels

.PHONY: lowest
lowest: install ## run the unit tests with the oldest dependencies that pyproject.toml allows
	@echo "==> lowest: the unit tests with the lower bounds of the dependencies"
	@$(BIN)/python tests/packaging/wheels.py lowest

.PHONY: image
image: ## build the image without a registry, on Debian's packages (otherwise: docker build -t kiln .)
	@$(LAB_CMD) image localhost/kiln:dev

# The tools have an environment of their own: nothing of them is in the project's.
AUDIT := build/audit
$(AUDIT)/.installed: requirements/audit.txt
	@python=$$($(LAB_CMD) python); "$$python" -m venv --clear $(AUDIT)
	@$(AUDIT)/bin/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r requirements/audit.txt
	@touch $@

.PHONY: sbom
sbom: $(AUDIT)/.installed ## write the image's software bill of materials (CycloneDX) to build/kiln.cdx.json
	@echo "==> sbom: build/kiln.cdx.json"
	@$(AUDIT)/bin/cyclonedx-py requirements requirements/runtime.txt --pyproject pyproject.toml \
	  --mc-type application --output-reproducible --of JSON -o build/kiln.cdx.json

.PHONY: audit
audit: $(AUDIT)/.installed ## look the locked dependencies up in the database of known vulnerabilities
	@echo "==> audit: requirements/runtime.txt, build.txt, dev.txt"
	@tests/packaging/audit $(AUDIT)/bin/pip-audit requirements/runtime.txt requirements/build.txt requirements/dev.txt

PLUGIN := build/plugin
$(PLUGIN)/env/.installed: requirements/runtime.txt requirements/build.txt requirements/plugin.txt
	@python=$$(command -v python3.11 || $(LAB_CMD) python); "$$python" -m venv --clear $(PLUGIN)/env
	@$(PLUGIN)/env/bin/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps \
	  -r requirements/runtime.txt -r requirements/build.txt -r requirements/plugin.txt
	@touch $@

.PHONY: plugin-archive
plugin-archive: $(PLUGIN)/env/.installed ## kubectl-stack as a program for this machine, in build/plugin
	@echo "==> plugin: one program without a Python"
	@$(PLUGIN)/env/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation --force-reinstall .
	@$(PLUGIN)/env/bin/python release/plugin.py archive $(PLUGIN)

.PHONY: plugin-manifest
plugin-manifest: $(PLUGIN)/env/.installed ## the krew manifest for all archives in build/plugin (VERSION=v1.2.3 URL=https://...)
	@$(PLUGIN)/env/bin/python release/plugin.py manifest $(PLUGIN) --version "$(VERSION)" --url "$(URL)"

.PHONY: plugin
plugin: plugin-archive ## the program, installed and started by krew itself (built once, 2 minutes)
	@krew=$$($(LAB_CMD) krew-path); $(PLUGIN)/env/bin/python tests/packaging/krew.py $(PLUGIN) "$$krew"

.PHONY: wheel
wheel: install ## the wheel and the source distribution, in build/wheel
	@$(BIN)/uv build -q --no-build-isolation --python $(BIN)/python --out-dir build/wheel

.PHONY: clean
clean: ## delete .venv and caches of the tools (not the lab: make lab-wipe)
	@echo "==> clean: .venv, caches, build output"
	@rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage build dist *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- the lab (tests/lab/README.md) -------------------------------------------------------------------------------

.PHONY: lab-up
lab-up: ## start Kubernetes and OpenStack on 127.0.0.1 (the first time about 10 minutes, later one)
	@$(LAB_CMD) up

.PHONY: lab-down
lab-down: ## stop them; data stay
	@$(LAB_CMD) down

.PHONY: lab-wipe
lab-wipe: ## stop them and delete the data; programs stay
	@$(LAB_CMD) wipe

.PHONY: lab-status
lab-status: ## what runs, with ports and memory
	@$(LAB_CMD) status

.PHONY: lab-env
lab-env: ## print the exports: eval "$(make -s lab-env)"
	@$(LAB_CMD) env

# ---- what Kiln does ----------------------------------------------------------------------------------------------

.PHONY: demo
demo: install lab-up ## a Stack's life, from apply to delete, on the lab
	@echo "==> demo: create, drift, update, delete"
	@$(IN_LAB) $(BIN)/python tests/demo/demo.py

.PHONY: bench
bench: export LAB_HEAT := $(if $(findstring heat,$(PEERS)),1,$(LAB_HEAT))
bench: install lab-up ## measure against a plain script (RUNS=3 PEERS=heat,tofu,orc ONLY=networks SCALE=0.1 JSON=path MARKDOWN=path)
	@echo "==> bench: on the lab"
	@$(IN_LAB) RUNS=$(RUNS) PEERS="$(PEERS)" ONLY="$(ONLY)" SCALE=$(SCALE) JSON="$(JSON)" MARKDOWN="$(MARKDOWN)" \
	  $(BIN)/python tests/benchmarks/bench.py

.PHONY: chaos
chaos: install lab-up ## kill the operator at random instants (KILLS=20 SEED=1 SETTLES=240)
	@echo "==> chaos: $(KILLS) kills, seed $(SEED)"
	@$(IN_LAB) $(BIN)/python tests/chaos/run.py --kills $(KILLS) --seed $(SEED) --settles $(SETTLES)

.PHONY: conformance
conformance: install ## compare the translator with vectors of Heat's results (VECTORS="a.json b.json")
	@echo "==> conformance: $(VECTORS)"
	@$(BIN)/python tests/conformance/run.py $(VECTORS)

.PHONY: templates
templates: install lab-up ## run real templates as Stacks and print a table (TEMPLATES=folder)
	@echo "==> templates: $(TEMPLATES)"
	@$(IN_LAB) $(BIN)/python tests/templates/run.py $(TEMPLATES)

.PHONY: lives
lives: export LAB_HEAT := 1
lives: install lab-up ## run sequences of updates through real Heat and Kiln, print what differs (ONLY="rename-.*" RESULTS=folder)
	@echo "==> lives: beside real Heat, on the lab"
	@$(IN_LAB) $(BIN)/python tests/lives/run.py --only "$(ONLY)" $(if $(RESULTS),--results $(RESULTS)) $(SCENARIOS)

.PHONY: verdicts
verdicts: install ## run validate, graph and render over real templates: they must agree (TEMPLATES=folder)
	@echo "==> verdicts: $(TEMPLATES)"
	@$(BIN)/python tests/templates/verdicts.py $(TEMPLATES)
