#!/bin/bash
# How often a run replaces manifest.json: in step with what must be on disk, not with what happens.
. "$(dirname "$0")/common" "$@"
export ASAN_OPTIONS=detect_leaks=0 # LeakSanitizer can't work while strace holds the process

trace() {
    strace -f --seccomp-bpf -e trace=rename,renameat,renameat2 -o trace "$@"
}

# pipeline_of COUNT: so many commands, each of which prints.
pipeline_of() {
    local stages=() i
    for ((i = 1; i <= $1; i++)); do
        stages+=("$(command_stage "c$i" "echo one; echo two >&2")")
    done
    config "$(pipeline p "${stages[@]}")"
}

# expect_writes COMMANDS MOST
expect_writes() {
    local writes
    pipeline_of "$1"
    code=0
    trace "$program" start p >stdout 2>stderr || code=$?
    expect_code 0 "$1 commands under strace"
    # The last argument of the call; a copy for the task's folder is linked, not renamed.
    writes=$(grep -cE '"manifest\.json"(, 0)?\) = 0' trace)
    [ "$writes" -ge 2 ] || fail "$1 commands: $writes replacements seen; is the trace right?"
    [ "$writes" -le "$2" ] || fail "$1 commands: manifest.json was replaced $writes times, not at most $2"
    forget_runs
}

command -v strace >/dev/null || skip "there is no strace"
trace true 2>stderr || skip "strace can't trace here: $(head -n 1 stderr)"
expect_writes 1 3
expect_writes 10 12
