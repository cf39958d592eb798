#!/bin/bash
# What a failure does to the stages that run and to those that wait, and which one the run names: the
# first. Also when time is what fails.
. "$(dirname "$0")/common" "$@"
limit='"timeoutSeconds":120'
lasting="exec sleep 3600"

# after_failure_of ERROR-FILE: a command's text: until that failure is recorded.
after_failure_of() {
    echo "until test -e \$CODEX_ORCHESTRATOR_RUN_DIR/errors/$1.json; do sleep 0.01; done"
}

# A command begins when the one beside it runs, and fails.
beside() {
    mkfifo begun
    fails="read -r _ <begun; exit 3"
    runs="echo >begun"
}

forget() {
    forget_runs
    rm -f begun trace
}

summary_of() {
    value "$folder/manifest.json" "next(c['summary'] for c in d['commands'] if c['id'] == '$1')"
}

by_default_what_runs_finishes() {
    beside
    config "$(parallel p 2 "$(command_stage a "$fails" "$limit")" \
        "$(command_stage b "$runs; $(after_failure_of 01-a); echo done" "$limit")" \
        "$(command_stage c true)" "$(command_stage d true "$(needs b)")" \
        "$(subpipeline_stage s q "$(needs b)")")" "$(pipeline q "$(command_stage x true)")"
    run start p
    expect_end 1 failed stage:a:failed "failed succeeded pending pending pending"
    forget
}

# A stage that waits for its next attempt is one that runs.
by_default_retries_go_on() {
    config "$(parallel p 2 "$(command_stage a "until grep -q exec:retry \$CODEX_ORCHESTRATOR_RUN_DIR/commands/02-b.ndjson; do sleep 0.01; done; exit 3" "$limit")" \
        "$(command_stage b "test -e \$CODEX_ORCHESTRATOR_RUN_DIR/errors/01-a.json" '"retries":1000,"retryDelayMs":2')" \
        "$(command_stage c true "$(needs b)")")"
    run start p
    expect_end 1 failed stage:a:failed "failed succeeded pending"
    forget
}

fail_fast_ends_what_runs() {
    beside
    config "$(parallel p 2 "$(command_stage a "$fails" "$limit")" \
        "$(command_stage b "$runs; $lasting" "$limit"',"allowFailure":true,"retries":3')" "$(command_stage c true)")"
    run start --fail-fast p
    expect_end 1 failed stage:a:failed "failed failed pending"
    [ "$(summary_of b)" = "Terminated with signal SIGTERM" ] || fail "the victim: $(summary_of b)"
    expect_value "$folder/manifest.json" '"b" in d["summary"].splitlines()[0]' False
    ! grep -q exec:retry "$folder/runner.ndjson" || fail "a victim was tried again"
    forget
}

# Who takes SIGTERM as its cue to finish well has not failed, but it is no reason to go on.
fail_fast_leaves_a_success() {
    beside
    config "$(parallel p 2 "$(command_stage a "$fails" "$limit")" \
        "$(command_stage b "trap 'exit 0' TERM; $runs; sleep 3600 & wait")" \
        "$(command_stage c true "$(needs b)")")"
    run start --fail-fast p
    expect_end 1 failed stage:a:failed "failed succeeded pending"
    forget
}

keep_going_runs_what_it_can() {
    local jobs
    for jobs in 1 3; do
        config "$(parallel p "$jobs" "$(command_stage a 'exit 3')" "$(command_stage b true "$(needs a)")" \
            "$(command_stage c true)" "$(command_stage d true "$(needs c)")" \
            "$(command_stage e true "$(needs b d)")" "$(command_stage f "$(after_failure_of 01-a); exit 4" "$(needs d),$limit")" \
            "$(subpipeline_stage gone nowhere "\"optional\":true,$(needs c)")" \
            "$(command_stage g true "$(needs gone)")" "$(subpipeline_stage s q "$(needs a)")" \
            "$(command_stage h true "$(needs s)")")" "$(pipeline q "$(command_stage x true)")"
        for option in --keep-going -k; do
            run start "$option" p
            expect_end 1 failed stage:a:failed \
                "failed pending succeeded succeeded pending failed skipped succeeded pending pending"
            [ "$(value "$folder/manifest.json" 'len([l for l in d["summary"].splitlines() if l.startswith("Stage ")])')" -eq 2 ] ||
                fail "the summary does not name both failures"
            forget
        done
    done
}

# after_begin_of FILE…: the beginning of a command's text: until all of them are there.
after_begin_of() {
    printf 'until test -e %s; do sleep 0.01; done; ' "$@"
}

the_first_failure_in_time_is_named() {
    local option
    for option in --no-interactive --keep-going; do
        config "$(parallel p 3 "$(command_stage a "touch a_runs; $(after_failure_of 03-c); exit 1" "$limit")" \
            "$(command_stage b "touch b_runs; $(after_failure_of 01-a); exit 2" "$limit")" \
            "$(command_stage c "$(after_begin_of a_runs b_runs) exit 3" "$limit")")"
        run start "$option" p
        expect_end 1 failed stage:c:failed "failed failed failed"
        rm a_runs b_runs
        forget
    done
}

# with_child MEMBERS: a subpipeline that fails once the stage beside it runs.
with_child() {
    beside
    config "$(parallel p 3 "$(subpipeline_stage s q "${1-}")" \
        "$(command_stage b "$runs; until test -e done; do sleep 0.01; done" "$limit")" \
        "$(command_stage c "touch done" "$(needs s)")")" \
        "$(parallel q 2 "$(command_stage x "$fails" "$limit")" "$(command_stage y true "$(needs x)")" "$(command_stage z true)")"
    rm -f done
}

a_subpipeline_fails_its_run() {
    with_child
    # b waits for what c would do: it ends only because it is ended
    run start --fail-fast p
    expect_end 1 failed subpipeline:q:failed "failed failed pending"
    expect_value "$(child_of s)/manifest.json" 'd["status"], d["status_detail"]' "('failed', 'stage:x:failed')"
    forget
    beside
    config "$(parallel p 3 "$(subpipeline_stage s q)" "$(command_stage b "$runs; echo done")" \
        "$(command_stage c true "$(needs s)")" "$(command_stage d true "$(needs b)")")" \
        "$(parallel q 2 "$(command_stage x "$fails" "$limit")" "$(command_stage y true "$(needs x)")" "$(command_stage z true)")"
    run start --keep-going p
    expect_end 1 failed subpipeline:q:failed "failed succeeded pending succeeded"
    expect_value "$(child_of s)/manifest.json" '" ".join(c["status"] for c in d["commands"])' "failed pending succeeded"
    forget
}

# That is known before the rest of the subpipeline is over.
a_run_that_will_fail_starts_nothing_new() {
    local error='.runs/0101/cli/*/errors/01-x.json'
    config "$(parallel p 3 "$(subpipeline_stage s q)" \
        "$(command_stage b "until ls $error; do sleep 0.01; done; touch b_done" "$limit")" "$(command_stage c true "$(needs b)")")" \
        "$(parallel q 2 "$(command_stage x "$(after_begin_of y_runs) exit 3" "$limit")" \
            "$(command_stage y "touch y_runs; until test -e b_done; do sleep 0.01; done; sleep 0.1" "$limit")")"
    run start p
    expect_end 1 failed subpipeline:q:failed "failed succeeded pending"
    expect_value "$(child_of s)/manifest.json" 'd["status_detail"], " ".join(c["status"] for c in d["commands"])' "('stage:x:failed', 'failed succeeded')"
    rm b_done y_runs
    forget
}

# Its failure is excused: whoever needs it goes on, and nobody is ended.
an_optional_subpipeline_fails_nothing() {
    local option
    for option in --no-interactive --fail-fast --keep-going; do
        with_child '"optional":true'
        run start "$option" p
        expect_end 0 succeeded None "skipped succeeded succeeded"
        expect_value "$(child_of s)/manifest.json" 'd["status"]' failed
        forget
    done
}

# A victim's run has not failed: it was ended. Also an optional one, which is to run when the run is
# taken up again.
a_run_of_victims_is_cancelled() {
    local members
    for members in '' '"optional":true'; do
        mkfifo begun
        config "$(parallel p 3 "$(command_stage a "read -r _ <begun; exit 3" "$limit")" "$(subpipeline_stage s q "$members")")" \
            "$(parallel q 2 "$(command_stage x "test -e flag || { echo >begun; $lasting; }" "$limit")" "$(command_stage y true "$(needs x)")")"
        run start --fail-fast p
        expect_end 1 failed stage:a:failed "failed failed"
        expect_value "$(child_of s)/manifest.json" \
            'd["status"], d["status_detail"], " ".join(c["status"] for c in d["commands"])' "('cancelled', 'run-canceled', 'failed pending')"
        expect_value "$folder/manifest.json" '"q" in d["summary"].splitlines()[0]' False
        touch flag
        exec 9<>begun # so that a goes on
        echo >&9
        run resume "${folder##*/}"
        exec 9<&-
        expect_value "$folder/manifest.json" 'd["commands"][1]["status"]' succeeded
        rm flag
        forget
    done
}

# An optional subpipeline that failed before, or could not even begin, is not why the run failed.
excuses_are_no_reasons() {
    config "$(parallel p 2 "$(command_stage a 'exit 3')" \
        "$(command_stage b "$(after_failure_of 01-a)" "$limit")" \
        "$(subpipeline_stage gone nowhere "\"optional\":true,$(needs b)")" "$(command_stage c 'exit 4' "$(needs gone)")")"
    run start --keep-going p
    expect_end 1 failed stage:a:failed "failed succeeded skipped failed"
    forget
    config "$(parallel p 2 "$(subpipeline_stage gone nowhere '"optional":true')" "$(command_stage c 'exit 4' "$(needs gone)")")"
    run start p
    expect_end 1 failed stage:c:failed "skipped failed"
    forget
}

# expect_timeout ENTRY-NUMBER ID SUMMARY: what is recorded of the stage.
expect_timeout() {
    expect_value "$folder/manifest.json" "d['commands'][$1 - 1]['exit_code'], d['commands'][$1 - 1]['summary']" "(124, '$3')"
    expect_value "$folder/errors/0$1-$2.json" 'd["reason"], d["details"]["exit_code"]' "('command-timed-out', 124)"
}

a_stage_has_its_time() {
    local command
    for command in "$lasting" "trap 'exit 0' TERM; sleep 3600 & wait" "sleep 3600 | cat"; do
        config "$(parallel p 2 "$(command_stage a "$command" '"timeoutSeconds":0.25')" "$(command_stage b true "$(needs a)")")"
        run start p
        expect_end 1 failed stage:a:timed-out "failed pending"
        expect_timeout 1 a "Timed out after 0.25 s"
        grep -q '"type":"command:warning".*timed out' "$folder/commands/01-a.ndjson" || fail "the log does not say so"
        forget
    done
    config "$(parallel p 2 "$(command_stage a "$lasting" '"timeoutSeconds":0.25,"allowFailure":true')" "$(command_stage b true "$(needs a)")")"
    run start p
    expect_end 0 succeeded None "skipped succeeded"
    expect_value "$folder/manifest.json" 'd["commands"][0]["exit_code"]' 124
    forget
    config "$(pipeline p "$(command_stage a "sleep 0.01" '"timeoutSeconds":120')")"
    run start p
    expect_end 0 succeeded None succeeded
    forget
}

a_run_has_its_time() {
    config "$(parallel p 4 "$(command_stage a "$lasting")" \
        "$(command_stage b "trap 'exit 0' TERM; sleep 3600 & wait")" \
        "$(command_stage c false '"retries":3,"retryDelayMs":3600000')" \
        "$(subpipeline_stage s q '"optional":true')" "$(command_stage d true "$(needs a)")")" \
        "$(pipeline q "$(command_stage x "$lasting")" "$(command_stage y true)")"
    run start --timeout 5 p
    expect_end 1 failed run-timed-out "failed failed failed failed pending"
    expect_timeout 1 a "Timed out"
    expect_timeout 2 b "Timed out"
    expect_value "$(child_of s)/manifest.json" 'd["status"], d["status_detail"]' "('failed', 'run-timed-out')"
    expect_value "$folder/manifest.json" 'd["summary"].splitlines()[0]' "The run timed out after 5 s."
    forget
    config "$(pipeline p "$(command_stage a true)")"
    run start --timeout 120 p
    expect_end 0 succeeded None succeeded
    forget
}

# A failure that came before the end of the time remains what the run names.
time_runs_out_after_a_failure() {
    config "$(parallel p 2 "$(command_stage a "$(after_begin_of b_runs) exit 3")" "$(command_stage b "touch b_runs; $lasting")")"
    run start --timeout 4 p
    expect_end 1 failed stage:a:failed "failed failed"
    rm b_runs
    forget
}

# A run that was cut short has not succeeded, whatever would have been excused.
interrupted_optional_work_is_no_success() {
    local pid
    mkfifo begun
    config "$(parallel p 2 "$(subpipeline_stage s q '"optional":true')")" \
        "$(pipeline q "$(command_stage x "echo >begun; $lasting")")"
    : >stderr
    env --default-signal=INT "$program" start p >stdout 2>stderr &
    pid=$!
    read -r _ <begun
    kill -INT "$pid"
    code=0
    wait "$pid" || code=$?
    expect_end 130 cancelled run-canceled failed
    forget
}

by_default_what_runs_finishes
by_default_retries_go_on
fail_fast_ends_what_runs
fail_fast_leaves_a_success
keep_going_runs_what_it_can
the_first_failure_in_time_is_named
a_subpipeline_fails_its_run
a_run_that_will_fail_starts_nothing_new
an_optional_subpipeline_fails_nothing
a_run_of_victims_is_cancelled
excuses_are_no_reasons
a_stage_has_its_time
a_run_has_its_time
time_runs_out_after_a_failure
interrupted_optional_work_is_no_success
