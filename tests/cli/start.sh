#!/bin/bash
# `start`: what it prints, what it records, how it ends.
. "$(dirname "$0")/common" "$@"

simple_config() {
    config "$(pipeline p "$(command_stage a "echo hello")" "$(command_stage b true)")"
}

text_says_where_to_look() {
    local folder
    simple_config
    run start p
    expect_code 0 "start p"
    folder=$(run_folder)
    printf '%s\n' "Run started: ${folder##*/}" "Status: succeeded" "Manifest: $folder/manifest.json" \
        "Log: $folder/runner.ndjson" "Summary:" >wanted
    head -n 5 stdout | cmp -s - wanted || fail "the result reads differently"
    expect_text stdout "  Guardrails: spec-guard command not found."
    forget_runs
}

json_is_one_document() {
    local folder
    simple_config
    for argument in --format=json "--format json"; do
        run start $argument p
        expect_code 0 "start $argument"
        folder=$(run_folder)
        expect_value stdout 'sorted(d)' "['artifact_root', 'log_path', 'manifest', 'run_id', 'status', 'status_detail', 'summary']"
        expect_value stdout 'd["run_id"]' "${folder##*/}"
        expect_value stdout 'd["status"], d["status_detail"]' "('succeeded', None)"
        expect_value stdout 'd["manifest"]' "$folder/manifest.json"
        forget_runs
    done
}

options_are_recorded() {
    local manifest
    config "$(pipeline p "$(command_stage a true)" \
        "$(command_stage b true '"plan":{"aliases":["Bee"]}')")"
    run start --task first --task mine --target p:b --parent-run 2026-01-01T00-00-00-000Z-00000000 \
        --approval-policy never --no-interactive --format text -- p
    expect_code 0 "all options"
    manifest=$(echo .runs/mine/cli/*/manifest.json)
    expect_value "$manifest" 'd["task_id"]' mine
    expect_value "$manifest" 'd["plan_target_id"]' p:b
    expect_value "$manifest" 'd["parent_run_id"]' 2026-01-01T00-00-00-000Z-00000000
    expect_value "$manifest" 'd["approval_policy"]' never
    [ ! -e .runs/first ] || fail "an overridden --task was used"
    forget_runs
}

targets_have_several_spellings() {
    local target
    for target in --target=b --target=p:b --target=bee --target-stage=B; do
        run start "$target" p
        expect_code 0 "$target"
        expect_value "$(run_folder)/manifest.json" 'd["plan_target_id"]' p:b
        forget_runs
    done
    CODEX_ORCHESTRATOR_TARGET_STAGE=b run start p
    expect_value "$(run_folder)/manifest.json" 'd["plan_target_id"]' p:b
    forget_runs
    run start --target nobody p
    expect_code 0 "an unknown target"
    expect_text stderr "no stage of pipeline 'p' answers to the target asked for; the target is p:a"
    forget_runs
}

variables_choose_task_and_folders() {
    local here=$PWD
    simple_config
    mkdir -p other sub
    mv codex.orchestrator.json sub
    cd other || fail "no folder"
    MCP_RUNNER_TASK_ID=t7 CODEX_ORCHESTRATOR_ROOT=../sub CODEX_ORCHESTRATOR_RUNS_DIR=r \
        CODEX_ORCHESTRATOR_OUT_DIR="$here/o" run start p
    expect_code 0 "folders of our own"
    ls ../sub/r/t7/cli/*/manifest.json >/dev/null || fail "no run below CODEX_ORCHESTRATOR_RUNS_DIR"
    [ -f "$here/o/t7/runs.json" ] || fail "no history below CODEX_ORCHESTRATOR_OUT_DIR"
    cd "$here" || fail "no folder"
    rm -r other sub o
}

default_pipeline_is_the_configured_one() {
    printf '{"defaultPipeline":"q","pipelines":[%s,%s]}' "$(pipeline p "$(command_stage a true)")" \
        "$(pipeline q "$(command_stage a true)")" >codex.orchestrator.json
    run start
    expect_code 0 "start without a name"
    expect_value "$(run_folder)/manifest.json" 'd["pipeline_id"]' q
    forget_runs
}

# Its commands are for projects with npm; here the first one can't be found.
without_a_configuration_there_is_diagnostics() {
    local manifest
    rm -f codex.orchestrator.json
    PATH=/nonexistent "$program" start >stdout 2>stderr && fail "npm was found in /nonexistent"
    manifest=$(run_folder)/manifest.json
    expect_value "$manifest" 'd["pipeline_id"]' diagnostics
    expect_value "$manifest" '[c["id"] for c in d["commands"]]' "['build', 'lint', 'test', 'spec-guard']"
    expect_value "$manifest" 'd["status_detail"]' stage:build:failed
    expect_value "$manifest" 'd["commands"][0]["exit_code"]' 127
    forget_runs
}

a_failure_stops_the_run() {
    local folder
    config "$(pipeline p "$(command_stage a true)" "$(command_stage b "echo oops >&2; exit 3")" \
        "$(command_stage c true)")"
    run start p
    expect_code 1 "a failing command"
    expect_text stdout "Status: failed"
    expect_text stderr "run failed: stage:b:failed"
    folder=$(run_folder)
    expect_value "$folder/manifest.json" '[c["status"] for c in d["commands"]]' \
        "['succeeded', 'failed', 'pending']"
    expect_value "$folder/manifest.json" 'd["commands"][1]["summary"]' "Exited with code 3 — oops"
    expect_value "$folder/errors/02-b.json" 'd["details"]["exit_code"], d["details"]["stderr"]' "(3, 'oops')"
    forget_runs
}

an_allowed_failure_does_not() {
    config "$(pipeline p "$(command_stage a "exit 3" '"allowFailure":true')" "$(command_stage b true)")"
    run start p
    expect_code 0 "allowFailure"
    expect_value "$(run_folder)/manifest.json" '[(c["status"], c["exit_code"]) for c in d["commands"]]' \
        "[('skipped', 3), ('succeeded', 0)]"
    forget_runs
}

a_killed_command_names_its_signal() {
    config "$(pipeline p "$(command_stage a 'kill -KILL $$')")"
    run start p
    expect_code 1 "a killed command"
    expect_value "$(run_folder)/manifest.json" \
        'd["commands"][0]["exit_code"], d["commands"][0]["summary"]' "(128, 'Terminated with signal SIGKILL')"
    forget_runs
}

subpipelines_are_runs_of_their_own() {
    local child
    config "$(pipeline p "$(subpipeline_stage s q)")" "$(pipeline q "$(command_stage a true)")"
    run start p
    expect_code 0 "a subpipeline"
    child=$(value "$(run_folder)/manifest.json" 'd["commands"][0]["sub_run_id"]')
    expect_value ".runs/0101/cli/$child/manifest.json" 'd["pipeline_id"], d["status"]' "('q', 'succeeded')"
    forget_runs
}

failing_subpipelines_fail_unless_optional() {
    config "$(pipeline p "$(subpipeline_stage s q)")" "$(pipeline q "$(command_stage a false)")"
    run start p
    expect_code 1 "a failing subpipeline"
    expect_text stderr "run failed: subpipeline:q:failed"
    config "$(pipeline p "$(subpipeline_stage s q '"optional":true')")" \
        "$(pipeline q "$(command_stage a false)")"
    run start p
    expect_code 0 "an optional subpipeline"
    config "$(pipeline p "$(subpipeline_stage s gone)")"
    run start p
    expect_code 1 "a subpipeline that is not there"
    expect_text stderr "run failed: subpipeline:gone:error"
    forget_runs
}

warnings_do_not_spoil_stdout() {
    printf '{"pipelines":[%s],"pipelins":1}' "$(pipeline p "$(command_stage a true)")" \
        >codex.orchestrator.json
    run start --format json p
    expect_code 0 "an unknown key"
    expect_text stderr "warning: $PWD/codex.orchestrator.json:1:"
    expect_text stderr "pipelins: unknown key, ignored"
    expect_value stdout 'd["status"]' succeeded
    forget_runs
}

commands_see_their_run() {
    config "$(pipeline p "$(command_stage a 'cp $CODEX_ORCHESTRATOR_MANIFEST_PATH seen.json; env >seen' \
        '"env":{"EXTRA":"of the stage"}')")"
    run start --task mine p
    expect_code 0 "a command that looks around"
    expect_value seen.json 'd["status"], d["commands"][0]["status"]' "('in_progress', 'running')"
    local folder name
    folder=$PWD/$(run_folder mine)
    for name in "TASK_ID=mine" "RUN_ID=${folder##*/}" "PIPELINE_ID=p" "RUN_DIR=$folder" \
        "MANIFEST_PATH=$folder/manifest.json" "RUNS_DIR=$PWD/.runs" "OUT_DIR=$PWD/out" \
        "REPO_ROOT=$PWD"; do
        grep -qxF "CODEX_ORCHESTRATOR_$name" seen || fail "a command lacks CODEX_ORCHESTRATOR_$name"
    done
    grep -qxF "EXTRA=of the stage" seen || fail "a command lacks its stage's variable"
    forget_runs
}

# Puts the bytes of a stream together again from a log.
output_of() {
    "$python" - "$1" "$2" <<'END'
import base64, json, sys
for line in open(sys.argv[1], encoding="utf-8"):
    event = json.loads(line)
    if event["type"] == "exec:chunk" and event["stream"] == sys.argv[2]:
        sys.stdout.buffer.write(base64.b64decode(event["data_base64"]) if "data_base64" in event
                                else event["data"].encode())
END
}

the_log_holds_every_byte() {
    local log
    seq 200000 >text
    head -c 300000 "$program" >binary
    config "$(pipeline p "$(command_stage a "cat text; cat binary >&2")")"
    run start p
    expect_code 0 "a lot of output"
    log=$(run_folder)/runner.ndjson
    output_of "$log" stdout | cmp - text || fail "stdout is recorded differently"
    output_of "$log" stderr | cmp - binary || fail "stderr is recorded differently"
    cmp "$log" "$(run_folder)/commands/01-a.ndjson" || fail "the two logs differ"
    forget_runs
}

secrets_are_for_their_owner() {
    local folder
    simple_config
    (umask 000 && "$program" start p >stdout 2>stderr) || fail "start under umask 000"
    folder=$(run_folder)
    [ "$(stat -c %a "$folder")" = 700 ] || fail "mode of the run folder: $(stat -c %a "$folder")"
    [ "$(stat -c %a "$folder/.resume-token")" = 600 ] || fail "mode of .resume-token"
    [ -z "$(find "$folder" -type f ! -perm 600)" ] || fail "modes: $(find "$folder" -type f ! -perm 600)"
    grep -qxE '[0-9a-f]{64}' "$folder/.resume-token" || fail ".resume-token holds no token"
    forget_runs
}

# The run goes on and is recorded, but the caller must learn that the result was not printed.
unprintable_results_are_an_error() {
    simple_config
    code=0
    "$program" start p >/dev/full 2>stderr || code=$?
    expect_code 1 "stdout is full"
    expect_text stderr "can't write to stdout: No space left on device"
    forget_runs
    code=0
    "$program" start p >&- 2>stderr || code=$?
    expect_code 1 "stdout is closed"
    expect_text stderr "can't write to stdout: Bad file descriptor"
    expect_value "$(run_folder)/manifest.json" 'd["status"]' succeeded
    forget_runs
}

# Without stdin, stdout and stderr the run's files must not get their numbers.
closed_descriptors_do_not_leak_into_files() {
    simple_config
    code=0
    "$program" start p <&- >&- 2>&- || code=$?
    expect_code 1 "everything is closed"
    ! grep -rqE 'Run started|codex-orchestrator:' .runs out || fail "messages are in the run's files"
    expect_value "$(run_folder)/manifest.json" 'd["status"]' succeeded
    output_of "$(run_folder)/runner.ndjson" stdout | cmp -s - <(echo hello) || fail "the log lacks output"
    forget_runs
}

nothing_temporary_is_left() {
    local left
    simple_config
    run start p
    left=$(find .runs out -name '*.tmp*' -o -name '*.lock')
    [ -z "$left" ] || fail "left behind: $left"
    forget_runs
}

text_says_where_to_look
json_is_one_document
options_are_recorded
targets_have_several_spellings
variables_choose_task_and_folders
default_pipeline_is_the_configured_one
without_a_configuration_there_is_diagnostics
a_failure_stops_the_run
an_allowed_failure_does_not
a_killed_command_names_its_signal
subpipelines_are_runs_of_their_own
failing_subpipelines_fail_unless_optional
warnings_do_not_spoil_stdout
commands_see_their_run
the_log_holds_every_byte
secrets_are_for_their_owner
unprintable_results_are_an_error
closed_descriptors_do_not_leak_into_files
nothing_temporary_is_left
