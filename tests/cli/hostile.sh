#!/bin/bash
# What somebody may put in our way: documents without bounds, pipes and links in place of files, folders
# that vanish, disks that are full.
. "$(dirname "$0")/common" "$@"
misbehave=$2

failed_run() {
    rm -f flag
    config "$(pipeline p "$(command_stage a 'test -f flag')" "$(command_stage b true)")"
    run start p
    expect_code 1 "a run that fails"
    folder=$(run_folder)
    id=${folder##*/}
    touch flag
}

nested_without_end_is_refused() {
    local text
    for text in '{"pipelines":' '[' '{"pipelines":[{"id":"p","stages":'; do
        "$python" -c 'import sys; print(sys.argv[1] * 100000, end="")' "$text" >codex.orchestrator.json
        run start p
        expect_code 2 "a configuration without an end"
        expect_text stderr "codex.orchestrator.json:1:"
    done
    expect_nothing_created "for a configuration without an end"
    failed_run
    "$python" -c 'print("[" * 1000000, end="")' >"$folder/manifest.json"
    for command in status resume; do
        run "$command" "$id"
        expect_code 2 "$command with a manifest without an end"
        expect_text stderr "manifest.json"
    done
    forget_runs
}

a_large_manifest_is_read() {
    failed_run
    "$python" - "$folder/manifest.json" <<'END'
import json, sys
d = json.load(open(sys.argv[1]))
d["summary"] = "x" * 100_000_000
json.dump(d, open(sys.argv[1], "w"))
END
    run status "$id" --format json
    expect_code 0 "status with 100 MB of manifest"
    run resume "$id" --format json
    expect_code 0 "resume with 100 MB of manifest"
    forget_runs
}

# Each as if somebody had put it there between two sessions.
pipes_hold_nobody() {
    local name
    for name in manifest.json runner.ndjson commands/01-a.ndjson .heartbeat privacy-decisions.ndjson; do
        failed_run
        rm -f "$folder/$name"
        mkfifo "$folder/$name"
        run resume "$id"
        [ "$code" -ne 0 ] || fail "$name is a pipe, and the run succeeds"
        [ -s stderr ] || fail "$name is a pipe, and nothing is said"
        run status "$id"
        forget_runs
    done
    rm codex.orchestrator.json
    mkfifo codex.orchestrator.json
    run start p
    expect_code 2 "the configuration is a pipe"
    rm codex.orchestrator.json
}

links_lead_nowhere() {
    local name
    mkdir outside
    echo precious >victim
    for name in manifest.json runner.ndjson commands/01-a.ndjson .heartbeat .holder privacy-decisions.ndjson commands errors; do
        failed_run
        rm -rf "${folder:?}/$name"
        case $name in
        commands | errors) ln -s "$PWD/outside" "$folder/$name" ;;
        *) ln -s "$PWD/victim" "$folder/$name" ;;
        esac
        run resume "$id"
        [ "$(cat victim)" = precious ] || fail "$name: what a link leads to was written"
        [ -z "$(ls outside)" ] || fail "$name: something is where a link leads"
        forget_runs
    done
    rm -r outside victim
}

# What a manifest says of itself becomes parts of paths.
a_manifest_of_another_run_is_refused() {
    local what
    echo precious >victim
    for what in 'd["run_id"] = "../../../victim"' 'd["task_id"] = "../../planted"' 'd["run_id"] = d["run_id"][:-1] + "g"'; do
        failed_run
        "$python" -c 'import json, sys; d = json.load(open(sys.argv[1])); exec(sys.argv[2]); json.dump(d, open(sys.argv[1], "w"))' \
            "$folder/manifest.json" "$what"
        run resume "$id"
        expect_code 2 "$what"
        [ -s stderr ] || fail "$what: nothing is said"
        [ "$(cat victim)" = precious ] && [ ! -e ../planted ] && [ ! -e planted ] || fail "$what: something was written or removed"
        forget_runs
    done
    rm victim
}

# Everybody may write where the runs are: whatever has been put in place of what they share, nothing is
# written behind it, nothing waits, and the run's own folder is its owner's.
folders_of_all_lead_nowhere() {
    local name kind path target
    mkdir outside
    echo precious >victim
    for kind in link pipe; do
        for name in .runs/0101 .runs/0101/cli .runs/0101/mcp .runs/0101/.live .runs/local-mcp \
            .runs/0101/metrics.json .runs/0101/metrics.lock .runs/0101/metrics .runs/0101/metrics/baseline.json \
            .runs/0101/metrics/post-rollout.json .runs/0101/metrics/completeness.json .runs/0101.lock \
            out/0101 out/0101/metrics out/0101/metrics/mttr-delta.json out/0101/state.json out/0101/runs.json; do
            failed_run
            find .runs out -type d ! -path '.runs/0101/cli/*' -exec chmod 777 {} +
            target=victim
            [ ! -d "$name" ] || target=outside
            rm -rf "${name:?}"
            case $kind in
            link) ln -s "$PWD/$target" "$name" ;;
            pipe) mkfifo "$name" ;;
            esac
            (umask 000 && exec "$program" start p >stdout 2>stderr)
            code=$?
            [ "$code" -eq 0 ] || grep -qF "${name#.runs/}" stderr || fail "$kind at $name: nobody says so"
            [ "$(cat victim)" = precious ] || fail "$name: what a link leads to was written"
            [ -z "$(ls -A outside)" ] || fail "$name: something is where a link leads: $(ls -A outside)"
            for path in .runs/0101/cli/*/; do
                [ -L "${path%/}" ] || [ ! -d "$path" ] || [ "$(stat -c %a "$path")" = 700 ] || fail "$path is $(stat -c %a "$path")"
            done
            forget_runs
        done
    done
    rm -r outside victim
}

a_folder_that_vanishes_fails_the_run() {
    config "$(pipeline p "$(command_stage a "rm -rf \$CODEX_ORCHESTRATOR_RUN_DIR; echo gone")" "$(command_stage b 'touch ran')")"
    run start p --format json
    expect_code 1 "the run's folder is gone"
    expect_value stdout 'd["status"], d["status_detail"]' "('failed', 'storage:error')"
    [ ! -e ran ] || fail "a command ran without a record"
    forget_runs
}

# on_small_disk KIBIBYTES: a file system of that size at "disk"; false: none can be mounted, which is said.
on_small_disk() {
    mkdir -p disk
    if mount -t tmpfs -o "size=$1k" none disk 2>/dev/null; then
        trap 'umount -l disk' EXIT
    else
        echo "left out, for want of a right to mount: ${FUNCNAME[1]}"
        return 1
    fi
}

leave_disk() {
    umount -l disk
    trap - EXIT
}

a_disk_that_is_read_only_is_said() {
    on_small_disk 3000 || return 0
    export CODEX_ORCHESTRATOR_RUNS_DIR=disk/runs
    config "$(pipeline p "$(command_stage a 'touch ran; test -f flag')")"
    rm -f flag
    run start p
    id=$(basename disk/runs/0101/cli/*)
    rm ran
    mount -o remount,ro disk
    for words in "start p" "resume $id" "exec -- touch ran"; do
        run $words
        [ "$code" -ne 0 ] || fail "$words on a disk that is read-only"
        expect_text stderr "Read-only file system"
        [ ! -e ran ] || fail "$words: a command ran without a record"
    done
    run status "$id"
    expect_code 0 "status on a disk that is read-only"
    unset CODEX_ORCHESTRATOR_RUNS_DIR
    leave_disk
    forget_runs
}

a_full_disk_is_waited_for() {
    on_small_disk 3000 || return 0
    head -c 2000000 /dev/zero >disk/filler
    config "$(pipeline p "$(command_stage a "'$misbehave' lines 20000")")"
    CODEX_ORCHESTRATOR_RUNS_DIR=disk/runs "$program" start p >stdout 2>stderr &
    until [ "$(df --output=avail disk | tail -n 1)" -eq 0 ]; do
        kill -0 $! 2>/dev/null || fail "it has ended before the disk was full"
        sleep 0.01
    done
    rm disk/filler
    code=0
    wait $! || code=$?
    expect_code 0 "space came back"
    "$misbehave" lines 20000 | cmp - <("$python" -c '
import json, sys
for line in open(sys.argv[1]):
    print(json.loads(line).get("data", ""), end="")' disk/runs/0101/cli/*/runner.ndjson) || fail "the log is not complete"
    leave_disk
    forget_runs
}

a_full_disk_fails_the_run() {
    on_small_disk 3000 || return 0
    config "$(pipeline p "$(command_stage a "echo first")" "$(command_stage b "'$misbehave' lines 50000" '"needs":["a"]')")"
    CODEX_ORCHESTRATOR_RUNS_DIR=disk/runs run start p --format json
    expect_code 1 "no space came back"
    expect_text stderr "run failed: storage:error"
    "$python" -c '
import json, sys
text = open(sys.argv[1]).read()
assert text.endswith("\n") and "first" in text
[json.loads(line) for line in text.splitlines()]' disk/runs/0101/cli/*/runner.ndjson || fail "the log has a torn line"
    leave_disk
    forget_runs
}

nested_without_end_is_refused
a_large_manifest_is_read
pipes_hold_nobody
links_lead_nowhere
a_manifest_of_another_run_is_refused
folders_of_all_lead_nowhere
a_folder_that_vanishes_fails_the_run
a_disk_that_is_read_only_is_said
a_full_disk_is_waited_for
a_full_disk_fails_the_run
