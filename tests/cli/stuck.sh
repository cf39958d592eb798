#!/bin/bash
# Nobody reads what the program prints: signals are heard all the same, and end it.
. "$(dirname "$0")/common" "$@"

# A pipe that is full, at descriptor 7; nobody reads it.
full_pipe() {
    rm -f full
    mkfifo full
    exec 7<>full
    dd if=/dev/zero of=full bs=4096 count=1000 oflag=nonblock 2>/dev/null
}

# ends_by SIGNAL WHAT: as the last started process does, soon enough not to be waited for.
ends_by() {
    code=0
    wait "$pid" || code=$?
    [ "$code" -eq $((128 + $(kill -l "$1"))) ] || fail "ended with $code, not by SIG$1: $2"
}

until_begun() {
    until test -e begun; do
        kill -0 "$pid" 2>/dev/null || fail "it has ended before its command began"
        sleep 0.01
    done
    rm begun
}

status_of_the_only_run() {
    value .runs/*/cli/*/manifest.json 'd["status"]'
}

an_ignored_sigchld_hides_no_failure() {
    config "$(pipeline p "$(command_stage a 'exit 3')")"
    (trap '' CHLD && exec "$program" start p >stdout 2>stderr)
    code=$?
    expect_code 1 "a command that fails"
    expect_value "$(run_folder)/manifest.json" 'd["commands"][0]["exit_code"]' 3
    forget_runs
}

stderr_is_full() {
    "$program" exec -- sh -c 'touch begun; exec sleep 3600' >stdout 2>&7 &
    pid=$!
    until_begun
    kill -TERM "$pid"
    ends_by TERM "stderr is full"
    [ "$(status_of_the_only_run)" = cancelled ] || fail "not cancelled"
    forget_runs
}

# Already what stands above the command's output has no place.
stdout_of_exec_is_full() {
    "$program" exec -- sh -c 'touch begun; exec sleep 3600' >&7 2>stderr &
    pid=$!
    until_begun
    kill -TERM "$pid"
    ends_by TERM "stdout of exec is full"
    [ "$(status_of_the_only_run)" = cancelled ] || fail "not cancelled"
    forget_runs
}

output_that_nobody_takes_is_left() {
    config "$(pipeline p "$(command_stage a 'seq 100000; touch begun; exec sleep 3600')")"
    for how in "start p --output lines" "exec --jsonl -- sh -c seq\${IFS}100000;touch\${IFS}begun;exec\${IFS}sleep\${IFS}3600"; do
        "$program" $how >&7 2>stderr &
        pid=$!
        until_begun
        kill -TERM "$pid"
        ends_by TERM "$how"
        [ "$(status_of_the_only_run)" = cancelled ] || fail "not cancelled: $how"
        forget_runs
    done
}

# All is recorded; only the result is still to be printed.
a_result_that_nobody_takes_is_left() {
    config "$(pipeline p "$(command_stage a true)")"
    "$program" start p >&7 2>stderr &
    pid=$!
    until [ "$(value .runs/*/cli/*/manifest.json 'bool(d["run_summary_path"])' 2>/dev/null)" = True ]; do sleep 0.01; done
    kill -HUP "$pid"
    ends_by HUP "a run that is over"
    [ "$(status_of_the_only_run)" = succeeded ] || fail "not succeeded"
    forget_runs
}

# The outer one's SIGKILL comes when its grace time is over: the inner one has ended by then.
a_nested_orchestrator_ends_first() {
    mkdir inner
    cat >nested <<'END'
cd inner
exec "$PROGRAM" exec --json -- sh -c "trap '' TERM; touch ../begun; while :; do sleep 3600; done"
END
    config "$(pipeline p "$(command_stage a '. ./nested')")"
    PROGRAM=$program "$program" start p >stdout 2>stderr &
    pid=$!
    until_begun
    kill -TERM "$pid"
    ends_by TERM "nested"
    for folder in .runs/0101/cli/*; do
        expect_value "$folder/manifest.json" 'd["status"]' cancelled
    done
    [ "$(ls .runs/0101/cli | wc -l)" -eq 2 ] || fail "not two runs"
    rm -r inner
    forget_runs
}

an_ignored_sigchld_hides_no_failure
a_nested_orchestrator_ends_first
full_pipe
stderr_is_full
stdout_of_exec_is_full
output_that_nobody_takes_is_left
a_result_that_nobody_takes_is_left
