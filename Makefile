# The front door: each target installs the packages it needs (tools/setup) and builds below build/.

JOBS ?= 2
PREFIX ?= /usr/local
WERROR ?= ON

export CMAKE_BUILD_PARALLEL_LEVEL = $(JOBS)
export CTEST_PARALLEL_LEVEL = $(JOBS)

.PHONY: all demo test check check-clang check-asan check-tsan fuzz coverage bench compare install clean deps

all:
	tools/setup build
	cmake --preset release -DCORCH_WERROR=$(WERROR)
	cmake --build --preset release

# Runs a real pipeline: this project's own build and tests, and a million lines of output.
demo: all
	demo/run build/release/codex-orchestrator

test: all
	tools/setup test
	ctest --preset release

# Everything: the tests in all builds, and a build with the other compiler.
check: test check-clang check-asan check-tsan

check-clang:
	tools/setup check
	cmake -S . -B build/clang -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_COMPILER=clang -DCORCH_WERROR=ON
	cmake --build build/clang

check-asan check-tsan: check-%:
	tools/setup test
	cmake --preset $* -DCORCH_WERROR=ON
	cmake --build --preset $*
	ctest --preset $*

# Each fuzz target for so many seconds; what they find beyond tests/fuzz/corpus goes to build/fuzz.
SECONDS ?= 60
fuzz:
	tools/setup fuzz
	cmake -S . -B build/fuzz -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_COMPILER=clang -DCORCH_WERROR=ON \
	    -DCORCH_FUZZ=ON -DCORCH_BENCH=OFF -DCORCH_SANITIZE=address,undefined
	cmake --build build/fuzz
	tests/fuzz/run build/fuzz/tests $(SECONDS)

# Which lines of src the tests reach.
coverage:
	tools/setup test
	tools/coverage build/coverage

# Takes some ten minutes.
bench: all
	tools/setup bench
	cmake --build --preset release --target bench
	bench/jobs build/release/codex-orchestrator

# Beside tee, GNU parallel, ninja, the original and others; about 20 minutes. Renews docs/benchmarks.md.
compare: all
	tools/setup bench
	bench/compare/run --doc docs/benchmarks.md

install: all
	cmake --install build/release --prefix $(PREFIX)

# Installs the packages that are missing for everything above.
deps:
	tools/setup check
	tools/setup bench

clean:
	rm -rf build
