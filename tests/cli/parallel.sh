#!/bin/bash
# Stages that run at once: what each waits for, how many there are, and what is recorded of them.
# Who is to run together meets at fifos: alone, a command would wait until its time is over.
. "$(dirname "$0")/common" "$@"
misbehave=$2
limit='"timeoutSeconds":120'

# step ID [MEMBERS]: a stage that leaves a line at its start and at its end.
step() {
    command_stage "$1" "echo start $1 >>trace; echo end $1 >>trace" "${2-}"
}

# before FIRST SECOND: one line of the trace comes before the other.
before() {
    [ "$(grep -nxF "$1" trace | cut -d: -f1)" -lt "$(grep -nxF "$2" trace | cut -d: -f1)" ] ||
        fail "'$1' is not before '$2': $(tr '\n' ',' <trace)"
}

forget() {
    forget_runs
    rm -f trace
}

a_diamond_meets_in_the_middle() {
    local side
    mkfifo to_left to_right
    config "$(parallel p 2 \
        "$(step last "$(needs left right)")" \
        "$(command_stage left "echo start left >>trace; echo >to_right; read -r _ <to_left; echo end left >>trace" "$(needs first),$limit")" \
        "$(command_stage right "echo start right >>trace; read -r _ <to_right; echo >to_left; echo end right >>trace" "$(needs first),$limit")" \
        "$(step first)")"
    run start p
    expect_end 0 succeeded None "succeeded succeeded succeeded succeeded"
    for side in left right; do
        before "end first" "start $side"
        before "end $side" "start last"
    done
    [ "$(wc -l <trace)" -eq 8 ] || fail "a stage did not run once: $(tr '\n' ',' <trace)"
    rm to_left to_right
    forget
}

# meeting COUNT JOBS: a pipeline of so many stages which meet us at two fifos, and go on when we say so.
meeting() {
    local stages=() i
    for ((i = 1; i <= $1; i++)); do
        stages+=("$(command_stage "m$i" "echo start m$i >>trace; echo m$i >arrived; read -r _ <go; echo end m$i >>trace" "$limit")")
    done
    parallel p "$2" "${stages[@]}"
}

# expect_arrivals COUNT: that many wait for us now.
expect_arrivals() {
    local i
    for ((i = 0; i < $1; i++)); do
        read -r -t 120 _ <&8 || fail "$i commands run at once, not $1"
    done
}

all_jobs_are_used_and_no_more() {
    local pid options
    mkfifo arrived go
    exec 8<>arrived 9<>go
    for options in "" "-j8" "--jobs 8"; do
        config "$(meeting 16 "$([ "$options" ] && echo 1 || echo 8)")"
        : >stderr
        "$program" start $options p >stdout 2>stderr &
        pid=$!
        expect_arrivals 8
        printf '\n\n\n\n\n\n\n\n' >&9
        expect_arrivals 8
        printf '\n\n\n\n\n\n\n\n' >&9
        wait "$pid" || fail "16 stages, 8 at once"
        [ "$(most_at_once trace)" -eq 8 ] || fail "not 8 at once, but $(most_at_once trace)"
        forget
    done
    exec 8<&- 9<&-
    rm arrived go
}

# Two at once for the run, though its subpipeline alone might have eight, and there are workers for them.
subpipelines_stay_within_their_parents_jobs() {
    local pid i inner
    mkfifo arrived go
    exec 8<>arrived 9<>go
    inner=$(meeting 8 8)
    config "$(parallel top 2 "$(subpipeline_stage s p)" "$(subpipeline_stage t p)")" "$inner"
    : >stderr
    "$program" start top >stdout 2>stderr &
    pid=$!
    expect_arrivals 2
    for ((i = 0; i < 14; i++)); do
        echo >&9
        expect_arrivals 1
    done
    printf '\n\n' >&9
    wait "$pid" || fail "16 stages of two subpipelines, 2 at once"
    [ "$(most_at_once trace)" -eq 2 ] || fail "not 2 at once, but $(most_at_once trace)"
    exec 8<&- 9<&-
    rm arrived go
    forget
}

# A folder can be made by one at a time only.
pools_are_kept() {
    local stages=() i
    for ((i = 1; i <= 12; i++)); do
        stages+=("$(command_stage "d$i" "mkdir lock || exit 9; echo start d$i >>trace; echo end d$i >>trace; rmdir lock" '"pool":"db"')" "$(step "f$i")")
    done
    printf '{"pools":{"db":1,"other":2},"pipelines":[%s]}' "$(parallel p 8 "${stages[@]}")" >codex.orchestrator.json
    run start p
    expect_code 0 "a pool of one"
    [ "$(most_at_once trace '^d')" -eq 1 ] || fail "two of a pool of one at once"
    [ "$(wc -l <trace)" -eq 48 ] || fail "not all have run"
    forget
}

# Of several pipelines as well.
pools_are_for_the_whole_run() {
    local stages=() i
    for ((i = 1; i <= 6; i++)); do
        stages+=("$(command_stage "c$i" "mkdir lock || exit 9; rmdir lock" '"pool":"db"')")
    done
    printf '{"pools":{"db":1},"pipelines":[%s,%s]}' \
        "$(parallel p 8 "$(subpipeline_stage s q)" "$(subpipeline_stage t q)" "${stages[@]}")" \
        "$(parallel q 8 "${stages[@]}")" >codex.orchestrator.json
    run start p
    expect_code 0 "a pool of one for three runs"
    forget
}

one_job_keeps_the_order() {
    config "$(parallel p 1 "$(step a)" "$(step b "$(needs d)")" "$(step c)" "$(step d)" "$(step e)")"
    run start p
    expect_code 0 "one job"
    [ "$(grep start trace | tr -d '\n')" = "start astart cstart dstart bstart e" ] || fail "in another order: $(cat trace)"
    [ "$(most_at_once trace)" -eq 1 ] || fail "two at once"
    forget
    config "$(pipeline p "$(step a)" "$(step b)" "$(step c)")"
    run start p
    printf '%s\n' "start a" "end a" "start b" "end b" "start c" "end c" | cmp -s - trace || fail "not in the order written"
    forget
}

# Five deep, with commands of a pool of one on every level, before and behind: who waits for a
# subpipeline holds nothing that its commands need.
nesting_never_blocks() {
    local jobs level list
    for jobs in 1 2 8; do
        list=$(pipeline p5 "$(command_stage a "mkdir lock && rmdir lock" '"pool":"db"')" "$(command_stage b true)")
        for level in 4 3 2 1 0; do
            list+=,$(pipeline "p$level" "$(command_stage a "mkdir lock && rmdir lock" '"pool":"db"')" \
                "$(subpipeline_stage s "p$((level + 1))")" "$(subpipeline_stage t "p$((level > 1 ? 5 : level + 1))")" \
                "$(command_stage z "mkdir lock && rmdir lock" "\"pool\":\"db\",$(needs s)")")
        done
        printf '{"pools":{"db":1},"pipelines":[%s]}' "$list" >codex.orchestrator.json
        run start -j "$jobs" p0
        expect_end 0 succeeded None "succeeded succeeded succeeded succeeded"
        forget
    done
}

# More subpipelines at once than there are descriptors for: those that find none wait.
wide_nesting_does_not_run_out_of_descriptors() {
    local stages=() level list
    list=$(pipeline p3 "$(command_stage a true)")
    for level in 2 1 0; do
        stages=()
        for i in 1 2 3 4 5 6; do
            stages+=("$(subpipeline_stage "s$i" "p$((level + 1))")")
        done
        [ $level = 0 ] || list+=,$(pipeline "p$level" "${stages[@]:0:$((7 - level))}")
        [ $level != 0 ] || list+=,$(pipeline p0 "${stages[@]:0:3}")
    done
    printf '{"pipelines":[%s]}' "$list" >codex.orchestrator.json
    (ulimit -n 150 && "$program" start -j 8 p0) >stdout 2>stderr || fail "wide nesting with few descriptors"
    forget
}

# checksums of what a log says was printed, and of what is printed.
every_byte_is_kept() {
    local stages=() i log
    for ((i = 1; i <= 25; i++)); do
        stages+=("$(command_stage "t$i" "exec $misbehave lines $((i * 200))")" \
            "$(command_stage "b$i" "exec $misbehave bytes $((i * 4000)) $i")")
    done
    config "$(parallel p 8 "${stages[@]}")"
    # The largest of the program and its commands, which are small.
    "$python" - "$program" >most 2>stderr <<'END' || fail "50 chatty commands"
import resource, subprocess, sys
code = subprocess.call([sys.argv[1], "start", "p"], stdout=open("stdout", "w"), stderr=sys.stderr)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
END
    folder=$(run_folder)
    "$python" - "$folder" "$misbehave" <<'END' || fail "a log holds something else"
import base64, collections, glob, hashlib, json, subprocess, sys
printed, runner = {}, collections.defaultdict(list)
for path in glob.glob(sys.argv[1] + "/commands/*.ndjson"):
    lines = open(path, encoding="utf-8").read().rstrip("\n").split("\n")
    events = [json.loads(line) for line in lines]
    assert len({e["index"] for e in events}) == 1, path
    number = events[0]["index"]
    types = [e["type"] for e in events]
    chunks = [e for e in events if e["type"] == "exec:chunk"]
    assert types == ["command:start", "exec:begin"] + ["exec:chunk"] * len(chunks) + ["exec:end", "command:end"], path
    assert [c["sequence"] for c in chunks] == list(range(1, len(chunks) + 1)), path
    printed[number] = b"".join(base64.b64decode(c["data_base64"]) if "data_base64" in c else c["data"].encode() for c in chunks), lines
for line in open(sys.argv[1] + "/runner.ndjson", encoding="utf-8", newline="\n"):
    runner[json.loads(line)["index"]].append(line.rstrip("\n"))
assert len(printed) == 50
for i in range(1, 26):
    for number, words in (2 * i - 1, ["lines", str(i * 200)]), (2 * i, ["bytes", str(i * 4000), str(i)]):
        wanted = subprocess.check_output([sys.argv[2]] + words)
        got, lines = printed[number]
        assert hashlib.sha256(got).digest() == hashlib.sha256(wanted).digest(), words
        assert runner[number] == lines, "the run's log has other lines than the command's"
END
    # 8 workers with 16 buffers of 128 KiB, their streams, and the program itself
    [ "$sanitizer" ] || [ "$(cat most)" -lt 65536 ] || fail "it needed $(cat most) KiB"
    forget
}

# Nobody waits for the manifest at a start in so large a run; but what lasts is to be seen.
long_command_of_a_large_run_is_seen() {
    local stages=() i pid tries=0
    mkfifo go
    for ((i = 1; i <= 80; i++)); do
        stages+=("$(command_stage "c$i" true "$(needs long)")")
    done
    config "$(parallel p 8 "$(command_stage long "read -r _ <go" "$limit")" "${stages[@]}")"
    "$program" start p >stdout 2>stderr &
    pid=$!
    until folder=$(run_folder 2>/dev/null) && [ "$folder" ] &&
        grep -q '"id":"long".*"status":"running"' "$folder/manifest.json"; do
        [ $((tries += 1)) -lt 2000 ] || fail "a command that runs is not in the manifest"
    done
    "$program" status "${folder##*/}" --format json >status.json || fail "status"
    expect_text status.json '"running"'
    echo >go
    wait "$pid" || fail "81 stages"
    rm go
    forget
}

# validate MANIFEST…: against the schema, where it is at hand.
validate() {
    local schema=${CORCH_CONFORMANCE:-$SOURCE_DIR/../shared/conformance}/manifest.schema.json
    [ -f "$schema" ] || {
        echo "not validated, for want of $schema"
        return 0
    }
    "$python" -c 'import jsonschema' 2>/dev/null || {
        echo "not validated, for want of the Python module jsonschema"
        return 0
    }
    "$python" - "$schema" "$@" <<'END' || fail "a manifest does not match its schema"
import json, jsonschema, sys
for path in sys.argv[2:]:
    jsonschema.validate(json.load(open(path)), json.load(open(sys.argv[1])))
END
}

# expect_assignments MANIFEST JOBS: one for each stage that was executed, by a worker that there is.
expect_assignments() {
    "$python" - "$@" <<'END' || fail "the scheduler block is wrong"
import json, sys
d, jobs = json.load(open(sys.argv[1])), int(sys.argv[2])
s = d["scheduler"]
assert (s["mode"], s["min_instances"], s["max_instances"]) == ("multi-instance", 1, jobs), s
assert set(s["recovery"]) == {"heartbeat_interval_seconds", "missing_heartbeat_timeout_seconds", "max_retries"}
executed = [c for c in d["commands"] if c["exit_code"] is not None]
given = {a["capability"]: a for a in s["assignments"]}
assert len(given) == len(s["assignments"]) and set(given) == {c["id"] for c in executed}, given
for c in executed:
    a = given[c["id"]]
    assert 1 <= int(a["instance_id"].removeprefix("worker-")) <= jobs, a
    assert a["status"] == ("failed" if c["status"] == "failed" else "succeeded"), a
    assert a["metadata"] == {"weight": 1, "maxConcurrency": 1}, a
    assert a["assigned_at"] <= a["completed_at"], a
    n = len(a["attempts"])
    assert [t["number"] for t in a["attempts"]] == list(range(1, n + 1)), a
    last = "failed" if c["status"] == "failed" else "completed"
    assert [t["status"] for t in a["attempts"]] == ["requeued"] * (n - 1) + [last], a
    for i, t in enumerate(a["attempts"]):
        assert t["assigned_at"] <= t["started_at"] <= t["completed_at"], t
        assert i == 0 or a["attempts"][i - 1]["completed_at"] <= t["assigned_at"], a
        points = t["recovery_checkpoints"]
        assert len(points) == (i < n - 1), a
        assert all((p["reason"], p["action"]) == ("auto", "requeue") and p["detail"] for p in points), a
retried = {c["id"]: len(given[c["id"]]["attempts"]) for c in executed if len(given[c["id"]]["attempts"]) > 1}
assert retried == ({"again": 3, "spent": 2, "soft": 2} if len(executed) > 2 else {}), retried
END
}

scheduler_block_says_who_did_what() {
    local jobs
    for jobs in 1 4; do
        config "$(parallel p "$jobs" "$(step a)" "$(step b)" \
            "$(command_stage again 'echo x >>count; test $(wc -l <count) -ge 3' '"retries":4,"retryDelayMs":1')" \
            "$(command_stage soft false '"retries":1,"retryDelayMs":0,"allowFailure":true')" \
            "$(step late "$(needs spent)")" "$(subpipeline_stage sub q)" \
            "$(command_stage spent 'exit 3' '"retries":1,"retryDelayMs":0')")" \
            "$(parallel q 2 "$(step c)" "$(step d)")"
        rm -f count
        run start --keep-going p
        expect_end 1 failed stage:spent:failed "succeeded succeeded succeeded skipped pending succeeded failed"
        expect_assignments "$folder/manifest.json" "$((jobs > 2 ? jobs : 2))"
        expect_value "$folder/manifest.json" 'd["scheduler"]["recovery"]["max_retries"]' 4
        expect_assignments "$(child_of sub)/manifest.json" "$((jobs > 2 ? jobs : 2))"
        validate .runs/0101/cli/*/manifest.json
        forget
    done
}

resume_runs_what_is_missing() {
    config "$(parallel p 4 "$(step last "$(needs b d)")" "$(step a)" "$(step b "$(needs gate)")" \
        "$(command_stage gate 'echo start gate >>trace; test -f flag' "$(needs a)")" "$(step c "$(needs a)")" \
        "$(step d "$(needs b c)")")"
    rm -f flag
    run start --keep-going p
    expect_end 1 failed stage:gate:failed "pending succeeded pending failed succeeded pending"
    touch flag
    rm trace
    run resume "${folder##*/}"
    expect_end 0 succeeded None "succeeded succeeded succeeded succeeded succeeded succeeded"
    printf '%s\n' "start gate" "start b" "end b" "start d" "end d" "start last" "end last" | cmp -s - trace ||
        fail "resumed in another order: $(tr '\n' ',' <trace)"
    forget
}

a_diamond_meets_in_the_middle
all_jobs_are_used_and_no_more
subpipelines_stay_within_their_parents_jobs
pools_are_kept
pools_are_for_the_whole_run
one_job_keeps_the_order
nesting_never_blocks
wide_nesting_does_not_run_out_of_descriptors
every_byte_is_kept
long_command_of_a_large_run_is_seen
scheduler_block_says_who_did_what
resume_runs_what_is_missing
