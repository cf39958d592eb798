#!/bin/bash
# `resume`: what succeeded is not run again, a refused resume changes nothing, a killed run goes on.
. "$(dirname "$0")/common" "$@"

gated_config() {
    config "$(pipeline p "$(command_stage first 'echo first >>trace')" \
        "$(command_stage soft 'echo soft >>trace; exit 9' '"allowFailure":true')" \
        "$(command_stage gate 'echo gate >>trace; test -f flag')" \
        "$(command_stage last 'echo last >>trace')")"
}

failed_run() {
    rm -f flag trace
    run start p --format json
    expect_code 1 "the gate is closed"
    folder=$(run_folder)
    id=${folder##*/}
}

# A stage that runs again is what the configuration says now, and the record says that.
a_command_that_was_mended_is_recorded_as_it_runs() {
    config "$(pipeline p "$(command_stage a 'true')" "$(command_stage b 'false')")"
    run start p
    folder=$(run_folder)
    config "$(pipeline p "$(command_stage a 'true # new')" "$(command_stage b 'echo mended' '"title":"B"')")"
    run resume "${folder##*/}"
    expect_code 0 "resume"
    expect_value "$folder/manifest.json" '[(c["title"], c["command"]) for c in d["commands"]]' "[('a', 'true'), ('B', 'echo mended')]"
    forget_runs
}

only_the_rest_is_run() {
    gated_config
    failed_run
    touch flag
    run resume --run "$id" --actor ops --reason "gate opened" --format json
    expect_code 0 "resume"
    expect_value stdout 'd["run_id"], d["status"]' "('$id', 'succeeded')"
    printf '%s\n' first soft gate gate last | cmp -s - trace || fail "other commands were run: $(cat trace)"
    expect_value "$folder/manifest.json" '[c["status"] for c in d["commands"]]' \
        "['succeeded', 'skipped', 'succeeded', 'succeeded']"
    expect_value "$folder/manifest.json" \
        '[(e["actor"], e["reason"], e["outcome"]) for e in d["resume_events"]]' \
        "[('ops', 'gate opened', 'accepted')]"
    expect_value out/0101/runs.json 'len(d["runs"])' 1
    [ "$(wc -l <.runs/0101/metrics.json)" -eq 2 ] || fail "not one metrics entry for each session"
    forget_runs
}

# refused WHAT TEXT ARGUMENT…: exit 2, the text, and not a byte changed.
refused() {
    local what=$1 text=$2 before
    shift 2
    before=$(find .runs out -type f -exec sha256sum {} + 2>/dev/null | sort)
    run resume "$@"
    expect_code 2 "$what"
    expect_text stderr "$text"
    expect_empty stdout
    [ "$(find .runs out -type f -exec sha256sum {} + 2>/dev/null | sort)" = "$before" ] || fail "$what changed files"
}

refusals_change_nothing() {
    gated_config
    failed_run
    touch flag
    refused "a wrong token" "Resume token mismatch." "$id" --token wrong
    refused "a prefix of the token" "Resume token mismatch." "$id" --token "$(head -c 20 "$folder/.resume-token")"
    refused "two runs" "unexpected argument 'other': --run names the run" --run "$id" other
    refused "an empty token" "Resume token mismatch." "$id" --token ""
    refused "an unknown run" "2026-01-01T00-00-00-000Z-00000000" --run 2026-01-01T00-00-00-000Z-00000000
    refused "a path" "Invalid run ID" --run ../../etc
    config "$(pipeline p "$(command_stage other true)")"
    refused "other stages" "start a new run" "$id"
    config "$(pipeline q "$(command_stage other true)")"
    refused "another pipeline" "Pipeline 'p' not found." "$id"
    gated_config
    run resume "$id" --token "$(cat "$folder/.resume-token")"
    expect_code 0 "the right token"
    expect_text stdout "Run resumed: $id"
    forget_runs
}

one_at_a_time() {
    local folder id
    mkfifo begun go
    config "$(pipeline p "$(command_stage wait 'echo >begun; cat go')")"
    "$program" start p >first 2>&1 &
    read -r _ <begun
    folder=$(run_folder)
    id=${folder##*/}
    refused "a run that goes on" "held by another orchestrator" "$id"
    echo done >go
    wait "$!" || fail "the first orchestrator failed"
    forget_runs
    rm begun go
}

# Killed with no chance to say anything: the interrupted command runs again, nothing else does.
killed_run_goes_on() {
    local folder id first
    mkfifo begun
    config "$(pipeline p "$(command_stage done 'echo done >>trace')" \
        "$(command_stage cut 'echo cut >>trace; test -f flag || { echo >begun; exec cat; } <go')" \
        "$(command_stage last 'echo last >>trace')")"
    rm -f trace flag
    mkfifo go
    "$program" start p >first 2>&1 &
    first=$!
    exec 9<>go # keeps the command waiting
    read -r _ <begun
    kill -KILL "$first"
    wait "$first" 2>/dev/null
    exec 9>&-
    folder=$(run_folder)
    id=${folder##*/}
    expect_value "$folder/manifest.json" 'd["status"], [c["status"] for c in d["commands"]]' \
        "('in_progress', ['succeeded', 'running', 'pending'])"
    printf '{"type":"exec:chunk","torn' >>"$folder/runner.ndjson"
    touch flag
    exec 9<>go
    run resume "$id"
    exec 9>&-
    expect_code 0 "resume of a killed run"
    printf '%s\n' done cut cut last | cmp -s - trace || fail "other commands were run: $(cat trace)"
    python3 -c 'import json, sys; [json.loads(l) for l in open(sys.argv[1])]' "$folder/runner.ndjson" ||
        fail "the log has a torn line"
    forget_runs
}

# An orchestrator that takes no lock, as the original's, shows by its heartbeat that it is at work.
live_without_lock() {
    gated_config
    failed_run
    chmod 755 "$folder"
    python3 -c 'import json, sys, time
d = json.load(open(sys.argv[1]))
d["status"], d["completed_at"] = "in_progress", None
d["heartbeat_at"] = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
json.dump(d, open(sys.argv[1], "w"))' "$folder/manifest.json"
    refused "a run that is live by its heartbeat" "is live" "$id"
    chmod 700 "$folder" # ours would hold the lock: it was interrupted
    touch flag
    run resume "$id"
    expect_code 0 "an interrupted run"
    forget_runs
}

subpipeline_again() {
    local folder id
    config "$(pipeline p '{"kind":"subpipeline","id":"sub","pipeline":"child"}' "$(command_stage last true)")" \
        "$(pipeline child "$(command_stage gate 'test -f flag')")"
    rm -f flag
    run start p
    expect_code 1 "the child fails"
    folder=$(run_folder)
    id=${folder##*/}
    touch flag
    run resume "$id"
    expect_code 0 "resume"
    expect_value "$folder/manifest.json" '[c["status"] for c in d["child_runs"]]' "['failed', 'succeeded']"
    expect_value "$folder/manifest.json" 'd["commands"][0]["sub_run_id"] == d["child_runs"][1]["run_id"]' True
    forget_runs
}

# The run's log and that of its only command are one file, where there can be such; after the folder was
# copied they are two, which go on side by side.
logs_of_one_command_go_on() {
    local copied
    for copied in false true; do
        config "$(pipeline p "$(command_stage a 'echo out; test -f flag')")"
        rm -f flag
        run start p
        expect_code 1 "the only command fails"
        folder=$(run_folder)
        if ln stdout link; then
            rm link
            [ "$folder/runner.ndjson" -ef "$folder/commands/01-a.ndjson" ] || fail "two logs of one command"
        fi
        if $copied; then
            cp "$folder/runner.ndjson" copy
            mv copy "$folder/commands/01-a.ndjson"
        fi
        touch flag
        run resume "${folder##*/}"
        expect_code 0 "resume, copied: $copied"
        cmp "$folder/runner.ndjson" "$folder/commands/01-a.ndjson" || fail "the logs differ, copied: $copied"
        [ "$(grep -c '"data":"out' "$folder/runner.ndjson")" -eq 2 ] || fail "not each line once, copied: $copied"
        forget_runs
    done
}

logs_of_two_commands_are_two() {
    config "$(pipeline p "$(command_stage a 'echo a')" "$(command_stage b 'echo b')")"
    run start p
    folder=$(run_folder)
    cat "$folder/commands/01-a.ndjson" "$folder/commands/02-b.ndjson" | cmp - "$folder/runner.ndjson" ||
        fail "the run's log is not those of its commands"
    forget_runs
}

a_command_that_was_mended_is_recorded_as_it_runs
logs_of_one_command_go_on
logs_of_two_commands_are_two
only_the_rest_is_run
refusals_change_nothing
one_at_a_time
killed_run_goes_on
live_without_lock
subpipeline_again
