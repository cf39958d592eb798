#!/bin/bash
# Signals to the running program: the run is recorded as cancelled, the program dies by the signal,
# and nothing of the run is left alive.
. "$(dirname "$0")/common" "$@"
misbehave=$2
mkfifo alive started

# begin SIGNAL-OPTION COMMAND: starts a run of two commands and returns when the first one is
# running. It holds the fifo "alive" open as long as anything of it lives.
begin() {
    config "$(pipeline p "$(command_stage a "exec 9>alive; $2")" "$(command_stage b "echo never")")"
    : >stderr # a background process opens it when it likes
    env "$1" "$program" start p >stdout 2>stderr &
    pid=$!
    exec 8<alive
    read -r _ <started
}

ends_with() {
    code=0
    wait "$pid" || code=$?
    [ "$code" -eq "$1" ] || fail "ended with $code, not $1: $2"
}

nothing_is_left_alive() {
    timeout 60 cat <&8 >left || fail "something of the run is still alive: $1"
    exec 8<&-
}

run_is_cancelled() {
    folder=$(run_folder)
    expect_value "$folder/manifest.json" 'd["status"], d["status_detail"]' "('cancelled', 'run-canceled')"
    expect_value "$folder/manifest.json" '[c["status"] for c in d["commands"]]' "['failed', 'pending']"
    expect_value "$folder/manifest.json" 'd["commands"][0]["summary"]' "$1"
    expect_value "$folder/manifest.json" 'd["completed_at"] is None' False
    expect_text stdout "Status: cancelled"
    [ "$(tail -c 1 "$folder/runner.ndjson" | od -An -tx1)" = " 0a" ] || fail "the log's last line is torn"
    grep -q '"type":"exec:chunk".*"data":"out\\n"' "$folder/commands/01-a.ndjson" || fail "output is lost"
    grep -q '"type":"command:end"' "$folder/commands/01-a.ndjson" || fail "the command has no end"
    forget_runs
}

signal_ends_the_run() {
    for name in INT TERM HUP; do
        begin --default-signal=INT,TERM,HUP "echo out; echo >started; exec sleep 3600"
        kill -s "$name" "$pid"
        ends_with $((128 + $(kill -l "$name"))) "SIG$name"
        nothing_is_left_alive "SIG$name"
        run_is_cancelled "Terminated with signal SIGTERM"
    done
}

# Its children are signalled, too, and those of them who ignore that are killed.
signal_reaches_grandchildren() {
    begin --default-signal=INT,TERM,HUP \
        "echo out; (trap '' TERM; echo >started; exec $misbehave hold) & wait"
    kill -s TERM "$pid"
    ends_with 143 "SIGTERM with a grandchild"
    nothing_is_left_alive "a grandchild"
    run_is_cancelled "Terminated with signal SIGTERM"
}

second_signal_kills_at_once() {
    local begun
    begin --default-signal=INT,TERM,HUP "trap '' TERM; echo out; echo >started; exec $misbehave hold"
    kill -s TERM "$pid"
    until grep -q "once more kills it at once" stderr; do :; done
    begun=$SECONDS
    kill -s TERM "$pid"
    ends_with 143 "the second SIGTERM"
    [ $((SECONDS - begun)) -lt 4 ] || fail "it waited for the grace time, five seconds"
    nothing_is_left_alive "the second SIGTERM"
    run_is_cancelled "Terminated with signal SIGKILL"
}

# As nohup(1) leaves it.
ignored_signal_stays_ignored() {
    mkfifo go
    begin --ignore-signal=HUP "echo >started; read -r _ <go"
    kill -s HUP "$pid"
    echo >go
    ends_with 0 "SIGHUP, ignored"
    nothing_is_left_alive "a run that has succeeded"
    expect_value "$(run_folder)/manifest.json" 'd["status"]' succeeded
    forget_runs
}

signal_ends_the_run
signal_reaches_grandchildren
second_signal_kills_at_once
ignored_signal_stays_ignored
