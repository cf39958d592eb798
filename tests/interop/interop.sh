#!/bin/bash
# Side by side with the original, of which release 0.2.1 is on npm: each reads and takes up runs of
# the other, in one folder. Skipped without Node 20, npm or their registry.
. "$(dirname "$0")/../cli/common" "$@"
export MCP_RUNNER_TASK_ID=0042-demo
kept=$BINARY_DIR/interop
original=$kept/node_modules/.bin/codex-orchestrator

# Runs the original; exit code and output as with `run`.
run_original() {
    code=0
    HOME=$PWD/home "$original" "$@" >stdout 2>stderr || code=$?
}

# The JSON document behind the original's log lines.
only_json() {
    sed -n '/^{$/,$p' stdout >document && mv document stdout
}

# Stage "gate" fails until there is a file "flag"; each stage that runs leaves a line in "trace".
gated_config() {
    config "$(pipeline p "$(command_stage first "echo first >>trace; echo did first")" \
        '{"kind":"subpipeline","id":"sub","pipeline":"q"}' \
        "$(command_stage gate "echo gate >>trace; test -f flag")" \
        "$(command_stage last "echo last >>trace")")" \
        "$(pipeline q "$(command_stage inner "echo inner >>trace")")"
}

expect_trace() {
    local got
    got=$(tr '\n' ' ' <trace)
    [ "$got" = "$1 " ] || fail "stages that ran: $got, not $1"
}

# The newest top run of the task.
newest_run() {
    run_folder "$MCP_RUNNER_TASK_ID" | sort | tail -n 1 | sed 's,.*/,,'
}

manifest_of() {
    echo ".runs/$MCP_RUNNER_TASK_ID/cli/$1/manifest.json"
}

stages='[(c["id"], c["status"]) for c in d["commands"]]'
all_succeeded="[('first', 'succeeded'), ('sub', 'succeeded'), ('gate', 'succeeded'), ('last', 'succeeded')]"
stopped_at_gate="[('first', 'succeeded'), ('sub', 'succeeded'), ('gate', 'failed'), ('last', 'pending')]"

the_original_reads_our_runs() {
    local id child
    gated_config
    run start p
    expect_code 1 "a run that fails"
    id=$(newest_run)
    run_original status --run "$id" --format json
    expect_code 0 "the original's status of our failed run"
    only_json
    expect_value stdout 'd["run_id"], d["status"], d["status_detail"]' "('$id', 'failed', 'stage:gate:failed')"
    expect_value stdout "$stages" "$stopped_at_gate"
    child=$(value stdout 'd["child_runs"][0]["run_id"]')
    run_original status --run "$child" --format json
    expect_code 0 "the original's status of our subpipeline"
    only_json
    expect_value stdout 'd["status"], [c["id"] for c in d["commands"]]' "('succeeded', ['inner'])"
    touch flag
    run start p
    id=$(newest_run)
    run_original status --run "$id" --format json
    only_json
    expect_value stdout 'd["status"], d["status_detail"]' "('succeeded', None)"
    expect_value stdout "$stages" "$all_succeeded"
    rm -f flag trace
    forget_runs
}

# Leaves the runs for both_keep_the_records.
the_original_resumes_our_run() {
    run start p
    expect_code 1 "a run that fails"
    ours=$(newest_run)
    touch flag
    run_original resume --run "$ours"
    expect_code 0 "the original resumes our run"
    expect_trace "first inner gate gate last"
    run status --run "$ours" --format json
    expect_code 0 "our status of what the original resumed"
    expect_value stdout 'd["status"], d["activity"]["state"]' "('succeeded', 'finished')"
    expect_value stdout "$stages" "$all_succeeded"
    rm -f flag trace
}

# What the original keeps in a manifest and we don't know has to survive.
foreign='{k: d.get(k) for k in ("workspace_path", "runtime_mode", "runtime_fallback", "memory", "control_plane", "guardrails_required_source")}'
# To this we add our own assignments.
scheduler='{**d["scheduler"], "assignments": [a for a in d["scheduler"]["assignments"] if not a["instance_id"].startswith("worker-")]}'

we_resume_a_run_of_the_original() {
    local before scheduled
    run_original start p
    expect_code 1 "a run of the original that fails"
    theirs=$(newest_run)
    before=$(value "$(manifest_of "$theirs")" "$foreign")
    scheduled=$(value "$(manifest_of "$theirs")" "$scheduler")
    [[ $before = *workspace_path\':\ \'/* ]] || fail "the original's manifest has nothing foreign: $before"
    run status --run "$theirs" --format json
    expect_code 0 "our status of a run of the original"
    expect_value stdout 'd["status"], d["activity"]["state"]' "('failed', 'finished')"
    expect_value stdout "$stages" "$stopped_at_gate"
    touch flag
    run resume --run "$theirs" --format json
    expect_code 0 "we resume a run of the original"
    expect_value stdout 'd["run_id"], d["status"]' "('$theirs', 'succeeded')"
    expect_trace "first inner gate gate last"
    expect_value "$(manifest_of "$theirs")" "$stages" "$all_succeeded"
    expect_value "$(manifest_of "$theirs")" "$foreign" "$before"
    expect_value "$(manifest_of "$theirs")" "$scheduler" "$scheduled"
    run_original status --run "$theirs" --format json
    expect_code 0 "the original's status of its run that we resumed"
    only_json
    expect_value stdout 'd["status"]' succeeded
    expect_value stdout "$stages" "$all_succeeded"
}

both_keep_the_records() {
    local task=$MCP_RUNNER_TASK_ID
    python3 -c '
import json, sys
for line in open(sys.argv[1], encoding="utf-8"):
    entry = json.loads(line)
    if entry["pipeline_id"] == "p":
        print(entry["run_id"], entry["status"])' ".runs/$task/metrics.json" >entries
    printf '%s\n' "$ours failed" "$ours succeeded" "$theirs failed" "$theirs succeeded" >wanted
    cmp -s entries wanted || fail "metrics.json: $(cat entries)"
    expect_value ".runs/$task/metrics/post-rollout.json" 'd["total_runs"], d["succeeded_runs"]' "(6, 4)"
    expect_value "out/$task/runs.json" \
        '[r["runId"] for r in d["runs"] if r["plan"]["targetId"].startswith("p:")]' "['$ours', '$theirs']"
    expect_value "out/$task/runs.json" '[r["build"]["success"] for r in d["runs"]]' "[True, True, True, True]"
}

why=$("$SOURCE_DIR/tests/interop/fetch" "$kept") || skip "$why"
mkdir home
the_original_reads_our_runs
the_original_resumes_our_run
we_resume_a_run_of_the_original
both_keep_the_records
