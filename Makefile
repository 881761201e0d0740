# Two commands: `make demo` and `make test`. Each sets up what it needs in .venv and is offline after the first time.
# While changing things: `make quick` (lint and the fast tests of the rooms that changed), `make lint`, `make docs`, `make pictures`.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.10 python3; do command -v $$p && break; done | head -n 1)
NOBLE_PYTHON ?= python3.12
VENV := .venv
BIN := $(VENV)/bin
# A genuine ROS installation is used as it is; elsewhere real rclpy comes from wheels.
HAVE_ROS := $(shell $(PYTHON) -c "import rclpy" 2>/dev/null && echo yes)
comma := ,
WHEELS := $(if $(HAVE_ROS),,wheels$(comma))
# setuptools warns of every editable installation, and there is nothing wrong with this one.
NO_WARNING := PYTHONWARNINGS="ignore:Editable installation"

.PHONY: demo test quick lint mutants faults soak docs pictures test-noble clean

demo: $(VENV)/.demo
	$(BIN)/xview-localizer demo

test: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

quick: lint
	$(BIN)/python -m pytest -q -x -n 2 --dist loadfile -m "not slow" $$($(BIN)/python test/changed_rooms.py)

lint: $(VENV)/.test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/codespell
	$(BIN)/mypy
	if command -v hadolint >/dev/null; then hadolint docker/Dockerfile.*; fi

# Whether the tests can fail: breaks one place at a time. MUTANTS: rooms and options, as MUTANTS="tracking --sample 50".
mutants: $(VENV)/.test
	OMP_NUM_THREADS=1 $(BIN)/python test/mutants.py $(MUTANTS)

# Every fault of the campaign, each in a node process of its own: half an hour. Names matching ONLY alone.
faults: $(VENV)/.test
	$(BIN)/python test/faults/campaign.py --only "$(ONLY)"

# The node at full rate for MINUTES, and how much memory it takes meanwhile.
MINUTES ?= 20
soak: $(VENV)/.test
	PYTHONPATH=. $(BIN)/python benchmarks/soak.py --minutes $(MINUTES)

docs: $(VENV)/.test
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "open me: file://$(CURDIR)/site/index.html"

pictures: $(VENV)/.test
	$(BIN)/python docs/make_pictures.py

# The tests on the libraries that Ubuntu 24.04 ships (Jazzy, Kilted); those that need torch are skipped.
test-noble: .venv-noble/.test
	.venv-noble/bin/python -m pytest -rs

$(VENV)/.created:
	$(PYTHON) -m venv $(if $(HAVE_ROS),--system-site-packages) $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip "setuptools<80" wheel
	touch $@

$(VENV)/.demo: $(VENV)/.created setup.py
	$(NO_WARNING) $(BIN)/python -m pip install --quiet --no-build-isolation -e ".[$(WHEELS)simulation,map-server,report,heif]"
	touch $@

$(VENV)/.test: $(VENV)/.created setup.py
	$(NO_WARNING) $(BIN)/python -m pip install --quiet --no-build-isolation -e ".[$(WHEELS)test]"
	touch $@ $(VENV)/.demo

.venv-noble/.test: setup.py constraints/noble.txt
	$(NOBLE_PYTHON) -m venv .venv-noble
	.venv-noble/bin/python -m pip install --quiet --upgrade pip "setuptools<80" wheel
	$(NO_WARNING) .venv-noble/bin/python -m pip install --quiet --no-build-isolation -c constraints/noble.txt \
		-e ".[wheels,simulation,map-server,pmtiles,heif,report]" pytest pytest-timeout hypothesis onnx
	touch $@

clean:
	rm -rf $(VENV) .venv-noble build dist site *.egg-info
