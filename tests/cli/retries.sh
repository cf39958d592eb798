#!/bin/bash
# Further attempts of a command that failed: what the log says, and what a stage holds while it waits.
. "$(dirname "$0")/common" "$@"
limit='"timeoutSeconds":120'
hour='"retryDelayMs":3600000'

# until_retries COUNT: a command's text: until so many attempts are to be repeated.
until_retries() {
    echo "until [ \$(grep -c exec:retry \$CODEX_ORCHESTRATOR_RUN_DIR/runner.ndjson) -ge $1 ]; do sleep 0.02; done"
}

forget() {
    forget_runs
    rm -f count trace
}

# expect_log ATTEMPTS DELAY LAST-STATUS: the log of the first command, which prints one line and fails
# but for the last attempt.
expect_log() {
    "$python" - "$folder" "$@" <<'END' || fail "the log of a command that is tried again is wrong"
import json, sys
folder, attempts, delay, status = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
events = [json.loads(l) for l in open(folder + "/commands/01-a.ndjson")]
wanted = [("command:start", None)]
for n in range(1, attempts + 1):
    wanted += [("exec:begin", n), ("exec:chunk", n), ("exec:end", n)] + [("exec:retry", n)] * (n < attempts)
wanted += [("command:end", None)]
assert [(e["type"], e.get("attempt")) for e in events] == wanted, events
assert len({e["correlation_id"] for e in events if "correlation_id" in e}) == 1
assert [e["sequence"] for e in events if e["type"] == "exec:chunk"] == list(range(1, attempts + 1))
assert [e["status"] for e in events if e["type"] == "exec:end"] == ["failed"] * (attempts - 1) + [status]
for n, e in enumerate(e for e in events if e["type"] == "exec:retry"):
    least = delay << n
    assert least <= e["delay_ms"] <= least + least // 4, e
    assert e["error_message"].startswith("Exited with code "), e
times = [e["timestamp"] for e in events]
assert times == sorted(times), times
end = events[-1]
assert (end["exit_code"] == 0) == (status == "succeeded"), end
assert end["duration_ms"] >= sum(delay << n for n in range(attempts - 1)), end
d = json.load(open(folder + "/manifest.json"))
handle, = [h for h in d["handles"] if h["stage_id"] == "a"]
assert handle["frame_count"] == handle["latest_sequence"] == attempts + 2, handle
assert d["commands"][0]["started_at"] == times[0], d["commands"][0]
END
}

the_third_attempt_succeeds() {
    local jobs
    for jobs in 1 4; do
        config "$(parallel p "$jobs" "$(command_stage a 'echo attempt; echo x >>count; test $(wc -l <count) -ge 3' '"retries":5,"retryDelayMs":4')" \
            "$(command_stage b true "$(needs a)")")"
        run start p
        expect_end 0 succeeded None "succeeded succeeded"
        expect_log 3 4 succeeded
        [ ! -e "$folder/errors/01-a.json" ] || fail "an error file of a command that succeeded"
        forget
    done
}

attempts_have_an_end() {
    config "$(parallel p 2 "$(command_stage a 'echo attempt; echo x >>count; exit 3' '"retries":2,"retryDelayMs":0')")"
    run start p
    expect_end 1 failed stage:a:failed failed
    expect_log 3 0 failed
    expect_value "$folder/errors/01-a.json" 'd["details"]["exit_code"]' 3
    forget
    config "$(parallel p 2 "$(command_stage a 'echo attempt; exit 3' '"retries":1,"retryDelayMs":0,"allowFailure":true')" \
        "$(command_stage b true "$(needs a)")")"
    run start p
    expect_end 0 succeeded None "skipped succeeded"
    expect_log 2 0 failed
    forget
}

time_is_for_each_attempt() {
    config "$(parallel p 2 "$(command_stage a 'echo x >>count; test $(wc -l <count) -ge 3 || exec sleep 3600' \
        '"retries":50,"retryDelayMs":0,"timeoutSeconds":0.3')")" # more for a slow machine
    run start p
    expect_end 0 succeeded None succeeded
    [ "$(grep -c '"type":"exec:retry".*"error_message":"Timed out after 0.3 s' "$folder/runner.ndjson")" -ge 2 ] ||
        fail "not for want of time"
    forget
}

# What could not even be started is tried again as well.
a_missing_folder_may_come() {
    config "$(parallel p 2 "$(command_stage a 'echo here' '"cwd":"later","retries":1000,"retryDelayMs":5')" \
        "$(command_stage b "$(until_retries 1); mkdir later" "$limit")")"
    run start p
    expect_end 0 succeeded None "succeeded succeeded"
    rm -r later
    forget
}

# What the first attempt printed stays known if there is no second.
a_missing_folder_hides_no_attempt() {
    mkdir gone
    config "$(pipeline p "$(command_stage a 'echo attempt; rmdir ../gone; exit 3' '"cwd":"gone","retries":1,"retryDelayMs":0')")"
    run start p
    expect_end 1 failed stage:a:error failed
    expect_value "$folder/manifest.json" '[h["frame_count"] for h in d["handles"]], d["privacy"]["totals"]["total_frames"]' "([3], 3)"
    [ "$(grep -c '"type":"command:end"' "$folder/commands/01-a.ndjson")" -eq 1 ] || fail "it has not one end"
    forget
}

one_job_keeps_the_order() {
    config "$(parallel p 1 "$(command_stage a 'echo a >>trace; test $(wc -l <trace) -ge 3' '"retries":5,"retryDelayMs":2')" \
        "$(command_stage b 'echo b >>trace')" "$(command_stage c 'echo c >>trace')")"
    run start p
    expect_end 0 succeeded None "succeeded succeeded succeeded"
    [ "$(tr -d '\n' <trace)" = aaabc ] || fail "in another order: $(cat trace)"
    forget
}

# The worker and the place in the pool are others' until the next attempt: those two need both.
waiting_holds_nothing() {
    mkfifo there back
    printf '{"pools":{"db":2},"pipelines":[%s]}' "$(parallel p 2 \
        "$(command_stage a false "\"retries\":2,\"pool\":\"db\",$hour")" \
        "$(command_stage b "$(until_retries 1); echo >there; read -r _ <back" "\"pool\":\"db\",$limit")" \
        "$(command_stage c "read -r _ <there; echo >back" "\"pool\":\"db\",$limit")" \
        "$(command_stage d 'exit 3' "$(needs b c)")")" >codex.orchestrator.json
    run start --fail-fast p
    expect_end 1 failed stage:d:failed "failed succeeded succeeded failed"
    expect_value "$folder/manifest.json" 'd["commands"][0]["exit_code"], d["commands"][0]["summary"]' "(1, 'Exited with code 1')"
    [ "$(grep -c '"type":"command:end"' "$folder/commands/01-a.ndjson")" -eq 1 ] || fail "it has not one end"
    rm there back
    forget
}

# Also of those whose delay is over: their place may have been taken meanwhile.
a_further_attempt_waits_for_its_pool() {
    local stages=() i
    for ((i = 1; i <= 12; i++)); do
        stages+=("$(command_stage "a$i" "mkdir lock || touch clash; sleep 0.01; rmdir lock; echo x >>count.$i; test \$(wc -l <count.$i) -ge 3" \
            '"retries":2,"retryDelayMs":1,"pool":"db"')")
    done
    printf '{"pools":{"db":1},"pipelines":[%s]}' "$(parallel p 8 "${stages[@]}")" >codex.orchestrator.json
    run start p
    expect_code 0 "12 stages which succeed at the third attempt"
    [ ! -e clash ] || fail "two of a pool of one at once"
    rm count.*
    forget
}

a_signal_ends_the_wait() {
    local pid
    for jobs in 1 4; do
        config "$(parallel p "$jobs" "$(command_stage a 'echo attempt; exit 3' "\"retries\":9,$hour")" "$(command_stage b true "$(needs a)")")"
        : >stderr
        env --default-signal=INT "$program" start p >stdout 2>stderr &
        pid=$!
        until grep -qs exec:retry .runs/0101/cli/*/runner.ndjson; do :; done
        kill -INT "$pid"
        code=0
        wait "$pid" || code=$?
        expect_end 130 cancelled run-canceled "failed pending"
        expect_value "$folder/manifest.json" 'd["commands"][0]["exit_code"], len(d["scheduler"]["assignments"])' "(3, 1)"
        [ "$(grep -c '"type":"command:end"' "$folder/commands/01-a.ndjson")" -eq 1 ] || fail "it has not one end"
        forget
    done
}

# 200 of them, and far fewer descriptors.
waiting_needs_no_descriptors() {
    local stages=() states i
    for ((i = 1; i <= 200; i++)); do
        stages+=("$(command_stage "a$i" 'exit 1' "\"retries\":1,$hour")")
    done
    config "$(parallel p 8 "${stages[@]}" "$(command_stage z "$(until_retries 200); exit 3" "$limit")")"
    code=0
    (ulimit -n 256 && "$program" start --fail-fast p) >stdout 2>stderr || code=$?
    states=$(printf 'failed %.0s' {1..200})
    expect_end 1 failed stage:z:failed "${states}failed"
    forget
}

the_third_attempt_succeeds
attempts_have_an_end
time_is_for_each_attempt
a_missing_folder_may_come
a_missing_folder_hides_no_attempt
one_job_keeps_the_order
waiting_holds_nothing
a_further_attempt_waits_for_its_pool
a_signal_ends_the_wait
waiting_needs_no_descriptors
