# Two commands: `make demo` and `make test`. Each sets up what it needs in .venv and is offline after the first time.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.10 python3; do command -v $$p && break; done | head -n 1)
NOBLE_PYTHON ?= python3.12
VENV := .venv
BIN := $(VENV)/bin
# A genuine ROS installation is used as it is; elsewhere real rclpy comes from wheels.
HAVE_ROS := $(shell $(PYTHON) -c "import rclpy" 2>/dev/null && echo yes)
comma := ,
WHEELS := $(if $(HAVE_ROS),,wheels$(comma))

.PHONY: demo test test-noble clean

demo: $(VENV)/.demo
	$(BIN)/xview-localizer demo

test: $(VENV)/.test
	$(BIN)/python -m pytest

# The tests on the libraries that Ubuntu 24.04 ships (Jazzy, Kilted); those that need torch are skipped.
test-noble: .venv-noble/.test
	.venv-noble/bin/python -m pytest -rs

$(VENV)/.created:
	$(PYTHON) -m venv $(if $(HAVE_ROS),--system-site-packages) $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip "setuptools<80" wheel
	touch $@

$(VENV)/.demo: $(VENV)/.created setup.py
	$(BIN)/python -m pip install --quiet --no-build-isolation -e ".[$(WHEELS)simulation,map-server,report]"
	touch $@

$(VENV)/.test: $(VENV)/.created setup.py
	$(BIN)/python -m pip install --quiet --no-build-isolation -e ".[$(WHEELS)test]"
	touch $@ $(VENV)/.demo

.venv-noble/.test: setup.py constraints/noble.txt
	$(NOBLE_PYTHON) -m venv .venv-noble
	.venv-noble/bin/python -m pip install --quiet --upgrade pip "setuptools<80" wheel
	.venv-noble/bin/python -m pip install --quiet --no-build-isolation -c constraints/noble.txt \
		-e ".[wheels,simulation,map-server,pmtiles,report]" pytest pytest-timeout hypothesis
	touch $@

clean:
	rm -rf $(VENV) .venv-noble build dist *.egg-info
