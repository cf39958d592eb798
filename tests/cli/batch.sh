#!/bin/bash
# exec --batch: many commands as one run, and what became of each, in order.
. "$(dirname "$0")/common" "$@"

results='[(d["index"], d["line"], d["status"], d["exit_code"]) for d in rows]'

# Evaluates a Python expression over the JSON lines on stdout, `rows`.
expect_rows() { # EXPRESSION VALUE
    local got
    got=$("$python" -c '
import json, sys
rows = [json.loads(line) for line in open("stdout")]
print(eval(sys.argv[1]))' "$1") || fail "stdout is not JSON lines: $(head -c 300 stdout)"
    [ "$got" = "$2" ] || fail "$1 is '$got', not '$2'"
}

lines_become_commands() {
    printf '# a comment\necho one\n\n  \nprintf "%%s" "two words"\r\nexit 0' >list
    run exec --batch list
    expect_code 0 "a batch that succeeds"
    expect_rows "$results" "[(1, 2, 'succeeded', 0), (2, 5, 'succeeded', 0), (3, 6, 'succeeded', 0)]"
    expect_rows '[d["summary"] for d in rows][:2]' "['one', 'two words']"
    [ ! -s stderr ] || fail "stderr: $(cat stderr)"
    [ "$(ls .runs/*/cli | wc -l)" = 1 ] || fail "one batch is one run"
    [ "$(ls .runs/*/cli/*/commands | wc -l)" = 3 ] || fail "each command has a log"
}

a_failure_stops_or_not() {
    printf 'true\nexit 7\ntrue\nkill -9 $$\n' >list
    run exec --batch list
    expect_code 1 "a batch that fails"
    expect_rows "$results" "[(1, 1, 'succeeded', 0), (2, 2, 'failed', 7), (3, 3, 'pending', None), (4, 4, 'pending', None)]"
    expect_last_message "1 of 4 commands failed, the first in line 2"
    run exec --batch list --keep-going -j2
    expect_code 1 "a batch that keeps going"
    expect_rows "$results" "[(1, 1, 'succeeded', 0), (2, 2, 'failed', 7), (3, 3, 'succeeded', 0), (4, 4, 'failed', 137)]"
    expect_last_message "2 of 4 commands failed, the first in line 2"
}

expect_last_message() {
    [ "$(tail -n 1 stderr)" = "codex-orchestrator: $1" ] || fail "the last message is not '$1': $(cat stderr)"
}

results_are_in_the_order_of_the_lines() {
    mkfifo gate
    printf 'read x <gate\necho go >gate\n' >list # the first ends after the second has begun
    run exec --batch list --jobs 2 --json
    expect_code 0 "two that wait for each other"
    expect_value stdout '[c["command"] for c in d["commands"]]' "['read x <gate', 'echo go >gate']"
    expect_value stdout 'd["succeeded"], d["failed"], d["not_run"]' "(2, 0, 0)"
}

stdin_is_a_file_too() {
    printf 'echo from stdin\n' >list
    "$program" exec --batch - --output grouped <list >stdout 2>stderr || fail "exec --batch -: $(cat stderr)"
    grep -q '^from stdin$' stdout || fail "output: $(cat stdout)"
    grep -q '^1 of 1 commands succeeded$' stdout || fail "result: $(cat stdout)"
}

thousands_are_normal() {
    seq 3000 | sed 's/^/echo /' >list
    run exec --batch list -j4
    expect_code 0 "3000 commands"
    expect_rows 'len(rows), all(d["summary"] == str(i + 1) for i, d in enumerate(rows))' "(3000, True)"
}

bad_input_runs_nothing() {
    rm -rf .runs
    : >empty
    printf 'true\n\377\n' >latin
    printf 'true\0x\n' >binary
    local args
    while read -r args message; do
        run exec --batch $args
        expect_code 125 "exec --batch $args"
        grep -qF -- "$message" stderr || fail "exec --batch $args says: $(cat stderr)"
    done <<-'EOF'
	missing can't read missing: No such file
	empty empty has no command
	latin command 2 of the batch is not UTF-8
	binary binary has a NUL byte
	. can't read .: Is a directory
	EOF
    run exec --batch list -- true
    expect_code 125 "a command beside a batch"
    run exec --batch list --jobs many
    expect_code 125 "jobs that are no number"
    grep -qF -- "--jobs must be a number from 0 to 1024, not 'many'" stderr || fail "$(cat stderr)"
    run exec --batch list --json --jsonl
    expect_code 125 "two forms at once"
    [ ! -e .runs ] || fail "something was run"
}

a_batch_can_be_taken_up_again() {
    rm -rf .runs
    mkdir -p below
    printf 'echo x >>ran-1\n[ -e ok ] || exit 1\npwd >where\n' >list
    run exec --batch list --cwd below
    expect_code 1 "a batch that fails"
    touch below/ok
    local id
    id=$(ls .runs/*/cli)
    run resume --run "$id" --format json
    expect_code 0 "a batch that is taken up again"
    expect_value stdout 'd["status"]' succeeded
    [ "$(wc -l <below/ran-1)" = 1 ] || fail "what had succeeded ran again"
    [ "$(cat below/where)" = "$PWD/below" ] || fail "it ran in $(cat below/where)"
}

lines_become_commands
a_failure_stops_or_not
results_are_in_the_order_of_the_lines
stdin_is_a_file_too
thousands_are_normal
bad_input_runs_nothing
a_batch_can_be_taken_up_again
