#!/bin/bash
# Memory and descriptors: all given back, also when nothing can be run.
. "$(dirname "$0")/common" "$@"
export CODEX_ORCHESTRATOR_RUNS_DIR=$PWD/runs CODEX_ORCHESTRATOR_OUT_DIR=$PWD/out

# The descriptors still open at exit that were neither standard ones nor inherited.
open_descriptors() {
    awk '/FILE DESCRIPTORS:/ { on = 1; next }
         on && /Open (file descriptor|AF_|socket)/ { fd = $0; getline; if (!/inherited/) print fd }
         on && /HEAP SUMMARY/ { on = 0 }' valgrind
}

# check CODE ARGUMENT…: runs the program under valgrind; CODE is its exit code.
check() {
    local wanted=$1 open
    shift
    code=0
    LD_PRELOAD=$PWD/shim.so valgrind --leak-check=full --errors-for-leak-kinds=definite,indirect,possible --track-fds=yes \
        --error-exitcode=99 --child-silent-after-fork=yes --log-file=valgrind --suppressions=shim.supp \
        "$program" "$@" >stdout 2>stderr || code=$?
    [ "$code" -ne 99 ] || fail "valgrind on $*: $(cat valgrind)"
    expect_code "$wanted" "$* under valgrind"
    grep -q 'FILE DESCRIPTORS:' valgrind || fail "valgrind says nothing about descriptors: $(cat valgrind)"
    open=$(open_descriptors | grep -vE 'descriptor [012]:')
    [ -z "$open" ] || fail "$* leaves open: $open"
}

# valgrind 3.19 lacks pidfd_open; the threads of what stands in for it may end after the program.
make_shim() {
    local compiler
    compiler=$(sed -n 's/^CMAKE_C_COMPILER:[A-Z]*=//p' "$BINARY_DIR/CMakeCache.txt")
    "$compiler" -D_GNU_SOURCE -shared -fPIC -pthread "$SOURCE_DIR/tests/pidfd_shim.c" -o shim.so ||
        fail "the shim can't be compiled"
    printf '%s\n' '{' 'shim' 'Memcheck:Leak' '...' 'fun:pidfd_open' '...' '}' >shim.supp
}

[ -z "$sanitizer" ] || skip "valgrind can't run what is built with -fsanitize=$sanitizer"
command -v valgrind >/dev/null || skip "there is no valgrind"
valgrind --log-file=valgrind true || skip "valgrind does not work here: $(tail -n 3 valgrind)"

make_shim
check 0 --help
check 2 start --tsak x
check 2 start nope
echo '{"pipelines":[{"id":"p","stages":[{"kind":"command","id":"a"}]}]}' >codex.orchestrator.json
check 2 start p
export CODEX_ORCHESTRATOR_ROOT=$SOURCE_DIR
check 0 start demo-small
check 0 start --format json demo-small
check 0 start --output lines demo-small
check 0 start --output grouped --format json demo-small
