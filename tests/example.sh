#!/bin/bash
# example.sh EXAMPLE: the example program shows output, states and result, and exits accordingly.
set -euo pipefail
example=$1

fail() {
    echo "FAIL: $1" >&2
    cat stdout stderr >&2
    exit 1
}

cat >codex.orchestrator.json <<'END'
{"pipelines":[{"id":"p","guardrailsRequired":false,"stages":[
    {"kind":"command","id":"a","command":"echo one; echo two"},
    {"kind":"command","id":"b","command":"echo three >&2; exit 3"}]}]}
END

expect() {
    local code=0
    "$example" "${@:2}" >stdout 2>stderr || code=$?
    [ "$code" -eq "$1" ] || fail "exit code $code, not $1"
}

expect 1 p
printf 'one\ntwo\n' | cmp -s - stdout || fail "stdout"
sed 's/^run [^ ]*:/run:/; /^warning:/d' stderr >seen
printf '%s\n' "stage 1: running" "stage 1: succeeded" "stage 2: running" three "stage 2: failed" \
    "run: failed, stage:b:failed" | cmp -s - seen || fail "stderr"

expect 2 q
grep -qx "Pipeline 'q' not found." stderr || fail "the pipeline that is not there"
