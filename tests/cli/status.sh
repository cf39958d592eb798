#!/bin/bash
# status: of runs that are over, under way and broken off; following one; what it refuses.
. "$(dirname "$0")/common" "$@"

# A pipeline whose command says that it runs, and goes on when a line comes through the gate.
gated_pipeline() {
    config "$(pipeline p "$(command_stage first 'echo one')" \
        "$(command_stage gated 'echo >started; read -r line <gate; exit $line')")"
    rm -f started gate
    mkfifo started gate
    exec 4<>gate # so that neither side ever waits for the other to open it
}

# Starts it; returns when its second command is running. $orchestrator and $folder are set then.
start_gated() {
    "$program" start p >start.out 2>start.err 4>&- &
    orchestrator=$!
    read -r _ <started
    folder=$(run_folder)
    id=${folder##*/}
}

finish_gated() {
    echo "$1" >&4
    wait "$orchestrator"
}

# status_of ARGUMENT…: a status without complaint.
status_of() {
    run status "$@"
    expect_code 0 "status $*"
    expect_empty stderr
}

# refused TEXT ARGUMENT…
refused() {
    local text=$1
    shift
    run status "$@"
    expect_code 2 "status $*"
    expect_empty stdout
    expect_text stderr "$text"
}

a_run_that_succeeded() {
    config "$(pipeline p "$(command_stage a 'echo hello' '"title":"First"')")"
    run start p
    expect_code 0 "start"
    folder=$(run_folder)
    id=${folder##*/}
    status_of "$id"
    {
        printf '%s\n' "Run: $id" "Status: succeeded" "Activity: finished"
        value "$folder/manifest.json" '"Started: %s\nCompleted: %s" % (d["started_at"], d["completed_at"])'
        printf '%s\n' "Manifest: $folder/manifest.json" "Commands:" "  [succeeded] First — hello"
    } | diff stdout - || fail "the text differs"
    status_of --run "$id" --format json
    expect_value stdout 'd["activity"]["state"]' finished
    expect_value stdout 'd["activity"]["locked"]' None
    expect_value stdout 'd["manifest"]' "$folder/manifest.json"
    expect_value stdout 'd["commands"][0]["summary"]' hello
    expect_value stdout '" ".join(d)' "run_id status status_detail started_at completed_at manifest \
artifact_root log_path heartbeat_at activity commands child_runs"
    status_of --watch "$id"
    expect_text stdout "Status: succeeded"
    MCP_RUNNER_TASK_ID=another status_of "$id"
    expect_text stdout "Run: $id"
    forget_runs
}

a_run_that_failed() {
    config "$(pipeline p "$(command_stage a 'echo a')" "$(command_stage b 'exit 2')" \
        "$(command_stage c 'echo c')")"
    run start p
    expect_code 1 "start"
    folder=$(run_folder)
    status_of "${folder##*/}"
    expect_text stdout "Status: failed (stage:b:failed)"
    expect_text stdout "  [succeeded] a — a"
    expect_text stdout "  [failed] b — Exited with code 2"
    grep -qx '  \[pending\] c' stdout || fail "the stage that was not reached is missing"
    forget_runs
}

a_run_under_way() {
    gated_pipeline
    start_gated
    status_of "$id"
    expect_text stdout "Status: in_progress"
    grep -qx 'Activity: live' stdout || fail "it is not live"
    expect_text stdout "Completed: in-progress"
    expect_text stdout "  [running] gated"
    status_of "$id" --format json
    expect_value stdout 'd["activity"]["state"], d["activity"]["locked"]' "('live', True)"
    expect_value stdout 'd["activity"]["stale_after_seconds"]' 30
    finish_gated 0 || fail "the run failed"
    forget_runs
}

# Follows the run; what is printed comes on descriptor 5. $watcher is set then.
watch() {
    rm -f watched.fifo
    mkfifo watched.fifo
    "$program" status --watch "$@" "$id" >watched.fifo 2>stderr 4>&- &
    watcher=$!
    exec 5<watched.fifo
}

# Reads from the watcher up to the line that begins with TEXT, into the file stdout.
read_up_to() {
    local line
    while IFS= read -r line <&5; do
        printf '%s\n' "$line" >>stdout
        [[ $line == "$1"* ]] && return
    done
    fail "the watcher did not say: $1"
}

# expect_watcher_ends CODE
expect_watcher_ends() {
    code=0
    wait "$watcher" || code=$?
    expect_code "$1" "status --watch"
}

# The first look comes before the run goes on, the last is its end. The interval never passes.
watching_ends_with_the_run() {
    gated_pipeline
    start_gated
    : >stdout
    watch --interval 3600
    read_up_to "  [running] gated"
    finish_gated 3 && fail "the run did not fail"
    cat <&5 >>stdout
    exec 5<&-
    expect_watcher_ends 0
    expect_empty stderr
    expect_text stdout "Status: failed (stage:gated:failed)"
    expect_text stdout "Activity: finished"
    expect_text stdout "  [failed] gated — Exited with code 3"
    [ "$(grep -c '^Run: ' stdout)" -eq 1 ] || fail "what had not changed was printed again"
    [ "$(grep -c 'succeeded. first' stdout)" -eq 1 ] || fail "what had not changed was printed again"
    forget_runs
}

watching_as_json_is_a_line_per_change() {
    gated_pipeline
    start_gated
    : >stdout
    watch --interval=3600 --format json
    read_up_to '{'
    finish_gated 0 || fail "the run failed"
    tail -n 1 <&5 >last
    exec 5<&-
    expect_watcher_ends 0
    expect_value stdout 'd["status"], d["activity"]["state"]' "('in_progress', 'live')"
    expect_value last 'd["status"], d["activity"]["state"]' "('succeeded', 'finished')"
    forget_runs
}

# Nothing in the run's folder tells of it: only the next look does.
watching_sees_that_the_orchestrator_has_gone() {
    gated_pipeline
    start_gated
    : >stdout
    watch --interval 0.1
    read_up_to "Activity: live"
    kill -KILL "$orchestrator"
    wait "$orchestrator"
    read_up_to "Activity: interrupted"
    kill -TERM "$watcher"
    exec 5<&-
    expect_watcher_ends 143
    echo 0 >&4 # for the command, which may have outlived it
    forget_runs
}

# The reader goes after the first line; that ends the watcher, although nothing happens to the run.
watching_without_a_reader_ends() {
    gated_pipeline
    start_gated
    : >stdout
    watch --interval 3600 --format json
    read_up_to '{'
    exec 5<&-
    expect_watcher_ends 2
    expect_text stderr "can't write to stdout: nobody reads it any more"
    code=0
    "$program" status --watch "$id" >/dev/full 2>stderr || code=$?
    expect_code 2 "status --watch to a full device"
    expect_text stderr "can't write to stdout: No space left on device"
    finish_gated 0 || fail "the run failed"
    forget_runs
}

a_killed_orchestrator_leaves_an_interrupted_run() {
    gated_pipeline
    start_gated
    kill -KILL "$orchestrator"
    wait "$orchestrator"
    status_of "$id"
    expect_text stdout "Status: in_progress"
    expect_text stdout "Activity: interrupted: nobody works on it, last heartbeat 2"
    expect_text stdout "codex-orchestrator resume --run $id"
    status_of "$id" --format json
    expect_value stdout 'd["activity"]["state"], d["activity"]["locked"]' "('interrupted', False)"
    echo 0 >&4 # for the command, which may have outlived it
    forget_runs
}

# A stopped orchestrator keeps its lock but gives no heartbeat; here, a lock and an old heartbeat.
a_holder_without_heartbeat_is_stale() {
    folder=.runs/0101/cli/r1
    mkdir -p "$folder"
    chmod 700 "$folder"
    echo '{"run_id":"r1","status":"in_progress","heartbeat_at":"2020-01-01T00:00:00.000Z",
           "commands":[]}' >"$folder/manifest.json"
    mkfifo locked done
    python3 -c 'import fcntl, os, struct, sys
f = open(sys.argv[1] + "/.heartbeat", "a+")
fcntl.fcntl(f, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
open("locked", "w").close()
open("done").read()' "$folder" &
    read -r _ <locked
    status_of r1
    expect_text stdout "Activity: stale: its orchestrator is there, but its last heartbeat was at \
2020-01-01T00:00:00.000Z"
    : >done
    wait "$!"
    status_of r1
    expect_text stdout "Activity: interrupted"
    forget_runs
}

a_run_of_the_original_is_live_by_its_heartbeat() {
    folder=.runs/0101/cli/r1
    mkdir -p "$folder"
    chmod 755 "$folder"
    printf '{"run_id":"r1","status":"in_progress","heartbeat_at":"%s","commands":[]}' \
        "$(date -u +%Y-%m-%dT%H:%M:%S.000Z)" >"$folder/manifest.json"
    status_of r1
    expect_text stdout "Activity: live by its heartbeat; its orchestrator takes no lock"
    forget_runs
}

what_commands_printed_is_safe_for_a_terminal() {
    folder=.runs/0101/cli/r1
    mkdir -p "$folder"
    echo '{"run_id":"r1","status":"failed","status_detail":"x\u001b[2J","commands":[
           {"title":"t\u009b31m","status":"failed","summary":"one\ntwo\u0007"}]}' >"$folder/manifest.json"
    status_of r1
    expect_text stdout 'Status: failed (x\x1b[2J)'
    expect_text stdout '  [failed] t\x9b31m — one two\x07'
    ! grep -q $'\033' stdout || fail "an escape character was printed"
    forget_runs
}

ids_that_lead_elsewhere_are_refused() {
    mkdir -p .runs/0101/cli evil/r1
    echo '{"status":"failed","commands":[]}' >evil/r1/manifest.json
    refused 'Invalid run ID "../../etc": slashes are not allowed' --run ../../etc
    refused 'Invalid run ID "..": leading dots are not allowed' ..
    ln -s ../../../evil/r1 .runs/0101/cli/r1
    refused ".runs/0101/cli/r1: a link or a file is where a folder should be; remove it" r1
    rm .runs/0101/cli/r1
    mkdir -p .runs/local-mcp/r1
    ln -s ../../../evil/r1/manifest.json .runs/local-mcp/r1/manifest.json
    refused ".runs/local-mcp/r1/manifest.json does not lead to a run r1 below" r1
    rm -r .runs/local-mcp
    refused "Run 'r1' not found in $PWD/.runs." r1
    forget_runs
}

wrong_usage_is_refused() {
    refused "status requires --run"
    refused "status requires --run" --format json
    refused "Unknown status option: --wacth; did you mean --watch?" --wacth
    refused "status: unexpected argument 'b'" --run a b
    refused "status: --format must be json or text, not 'xml'" --format xml a
    local seconds
    for seconds in 0 -1 abc '' 5x nan 1e9; do
        refused "status: --interval must be a number of seconds" --watch --interval "$seconds" a
    done
    expect_nothing_created "by status"
}

help_names_every_option() {
    local option
    status_of --help
    for option in --run --watch --interval --format --help; do
        expect_text stdout "$option"
    done
}

a_run_that_succeeded
a_run_that_failed
a_run_under_way
watching_ends_with_the_run
watching_as_json_is_a_line_per_change
watching_sees_that_the_orchestrator_has_gone
watching_without_a_reader_ends
a_killed_orchestrator_leaves_an_interrupted_run
a_holder_without_heartbeat_is_stale
a_run_of_the_original_is_live_by_its_heartbeat
what_commands_printed_is_safe_for_a_terminal
ids_that_lead_elsewhere_are_refused
wrong_usage_is_refused
help_names_every_option
