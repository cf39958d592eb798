#!/bin/bash
# What is left when the program is killed, and what resume makes of it.
. "$(dirname "$0")/common" "$@"
misbehave=$2
lasting="exec sleep 3600"

# Starts the program and waits until the file `begun` is there. $orchestrator is its process.
run_and_wait() {
    rm -f begun
    "$program" "$@" >stdout 2>stderr &
    orchestrator=$!
    until test -e begun; do
        kill -0 "$orchestrator" 2>/dev/null || fail "it has ended before its command began"
        sleep 0.01
    done
}

start_and_wait() {
    run_and_wait start p "$@"
}

# By the second SIGTERM, once the first has been heard.
cancel_at_once() {
    kill -TERM "$orchestrator"
    until grep -q 'once more kills it' stderr; do sleep 0.01; done
    kill -TERM "$orchestrator"
    wait "$orchestrator"
}

# A run that fails, because there is no file "flag". $folder is its.
fail_for_want_of_flag() {
    rm -f flag
    run start p "$@"
    expect_code 1 "start"
    folder=$(run_folder)
}

kill_it() {
    kill -KILL "$orchestrator"
    wait "$orchestrator" 2>/dev/null
    folder=$(run_folder)
    id=${folder##*/}
}

# Waits until a process is gone, or is a zombie that nobody waits for.
gone() {
    local i state
    for i in $(seq 6000); do
        state=$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null)
        case $state in '' | Z | X) return 0 ;; esac
        sleep 0.01
    done
    return 1
}

# stray FILE: a command's text that writes the process number of something that has left its group and
# its parent into a file.
stray() {
    echo "(setsid sh -c 'echo \$\$ >$1; exec sleep 3600' &);"
}

commands_die_with_the_orchestrator() {
    config "$(parallel p 2 "$(command_stage a "trap '' TERM; echo \$\$ >one; sleep 3600 & echo \$! >two; wait")" \
        "$(command_stage b "$(stray three) until test -s one && test -s two && test -s three; do sleep 0.01; done; touch begun; $lasting")")"
    start_and_wait
    kill_it
    for file in one two three; do
        gone "$(cat $file)" || fail "process $file lives on"
    done
    rm one two three
    forget_runs
}

strays_die_with_a_cancelled_run() {
    config "$(pipeline p "$(command_stage a "$(stray one) until test -s one; do sleep 0.01; done; touch begun; $lasting")")"
    start_and_wait
    kill -TERM "$orchestrator"
    wait "$orchestrator"
    gone "$(cat one)" || fail "what left its group lives on"
    expect_value "$(run_folder)/manifest.json" 'd["status"]' cancelled
    rm one
    forget_runs
}

# One that has let go of its environment, its group and its parent, and one that it has started.
strays_without_a_mark_die_with_a_cancelled_run() {
    local how
    cat >stray <<'END'
(env -i setsid sh -c 'setsid sh -c "echo \$\$ >two; exec sleep 3600" & echo $$ >one; wait' &)
until test -s one && test -s two; do sleep 0.01; done
touch begun
exec sleep 3600
END
    config "$(pipeline p "$(command_stage a ". ./stray")")"
    for how in "start p" "exec -- sh stray"; do
        run_and_wait $how
        cancel_at_once
        for file in one two; do
            ! kill -0 "$(cat $file)" 2>/dev/null || fail "$how: process $file lives on"
        done
        rm one two
        forget_runs
    done
}

# Each has cleared its environment and left the group of the one before.
deep_strays_die_with_a_cancelled_run() {
    cat >stray <<'END'
[ "$1" -gt 0 ] || { echo $$ >last; exec sleep 3600; }
env -i setsid sh stray $(($1 - 1)) &
wait
END
    config "$(pipeline p "$(command_stage a "(env -i setsid sh stray 250 &); until test -s last; do sleep 0.01; done; touch begun; $lasting")")"
    start_and_wait
    cancel_at_once
    ! kill -0 "$(cat last)" 2>/dev/null || fail "the last of the chain lives on"
    rm last
    forget_runs
}

# /proc shows another namespace's processes by their numbers: nobody there is a stray.
a_foreign_proc_is_not_swept() {
    unshare -pf true 2>/dev/null || { echo "left out, for want of a right to namespaces: ${FUNCNAME[0]}"; return 0; }
    config "$(pipeline p "$(command_stage a "touch begun; $lasting")")"
    rm -f begun
    unshare -pf bash -c '
        "$0" start p >stdout 2>stderr & # process 2, which is the parent of most small numbers outside
        orchestrator=$!
        until test -e begun; do sleep 0.01; done
        others=
        for i in 1 2 3 4 5 6 7 8; do sleep 3600 & others="$others $!"; done
        kill -TERM $orchestrator
        wait $orchestrator
        for pid in $others; do kill -0 $pid || exit 1; done' "$program" || fail "somebody else was killed"
    expect_value "$(run_folder)/manifest.json" 'd["status"]' cancelled
    forget_runs
}

# It waits for our end, not we for it.
a_reaper_that_stands_still_is_not_waited_for() {
    local reaper
    rm -f flag
    config "$(pipeline p "$(command_stage a "touch begun; until test -e flag; do sleep 0.01; done")")"
    start_and_wait
    reaper=$(pgrep -P "$orchestrator" -x corch-reaper) || fail "there is no reaper"
    kill -STOP "$reaper"
    touch flag
    wait "$orchestrator" || fail "the run failed"
    ! kill -0 "$reaper" 2>/dev/null || fail "the reaper lives on"
    rm flag
    forget_runs
}

# A child that the program had before its first command is somebody's own.
a_child_from_before_lives() {
    rm -f begun
    config "$(pipeline p "$(command_stage a "touch begun; $lasting")")"
    (
        sleep 3600 &
        echo $! >mine
        exec "$program" start p >stdout 2>stderr
    ) &
    orchestrator=$!
    until test -e begun; do sleep 0.01; done
    kill -TERM "$orchestrator"
    wait "$orchestrator"
    kill -0 "$(cat mine)" || fail "a process that was not the run's was ended"
    kill -KILL "$(cat mine)"
    rm mine
    forget_runs
}

# Those that end while the run goes on leave no zombie.
strays_are_buried() {
    cat >stray <<'END'
for i in 1 2 3; do (setsid sh -c 'echo $$ >>all' &); done
until test "$(wc -l <all)" = 3; do sleep 0.01; done
for pid in $(cat all); do
    while test -d /proc/$pid; do sleep 0.01; done
done
END
    touch all
    config "$(pipeline p "$(command_stage a ". ./stray")")"
    run start p
    expect_code 0 "start"
    rm all
    forget_runs
}

# What a run leaves behind of its own will goes on.
strays_of_a_run_that_succeeds_live() {
    config "$(pipeline p "$(command_stage a "(setsid sh -c 'echo \$\$ >one; exec sleep 3600' >/dev/null 2>&1 &); until test -s one; do sleep 0.01; done")")"
    run start p
    expect_code 0 "start"
    kill -0 "$(cat one)" || fail "a background process was ended"
    kill -KILL "$(cat one)"
    rm one
    forget_runs
}

# An orchestrator that is a command of another, which is killed: its commands die, too.
nested_commands_die() {
    mkdir -p inner
    config "$(pipeline p "$(command_stage a "cd inner && '$program' exec -- sh -c 'echo \$\$ >../one; touch ../begun; $lasting'")")"
    start_and_wait
    kill_it
    gone "$(cat one)" || fail "a command of the inner orchestrator lives on"
    rm -r one inner
    forget_runs
}

# The manifest knows less than the log: as when a kill comes between the two.
make_older() { # EXPRESSION: a change of the document d
    "$python" - "$folder/manifest.json" "$1" <<'END'
import json, sys
d = json.load(open(sys.argv[1]))
exec(sys.argv[2])
json.dump(d, open(sys.argv[1], "w"))
END
}

interrupted='d.update(status="in_progress", completed_at=None)
for c in d["commands"]:
    c.update(status="running" if c["id"] != "c" else "pending", completed_at=None, exit_code=None, summary=None)
    if c["id"] == "c": c.update(started_at=None, log_path=None)'

the_log_knows_more_than_the_manifest() {
    local lost
    for lost in nothing end log; do
        rm -f trace flag
        config "$(pipeline p "$(command_stage a 'echo a >>trace; echo said by a')" \
            "$(command_stage b 'echo b >>trace; test -f flag')" "$(command_stage c 'echo c >>trace')")"
        run start p --jobs 1
        folder=$(run_folder)
        make_older "$interrupted"
        case $lost in
        end) # torn within the last line of a
            sed -i '/"type":"command:end".*"index":1}/d' "$folder/runner.ndjson"
            head -c -30 "$folder/commands/01-a.ndjson" >cut
            cp cut "$folder/commands/01-a.ndjson"
            ;;
        log) : >"$folder/commands/01-a.ndjson" ;;
        esac
        touch flag "$folder/.manifest.json.0123456789abcdef.tmp"
        run resume "${folder##*/}"
        expect_code 0 "resume, lost: $lost"
        [ "$(tr -d '\n' <trace)" = abbc ] || fail "commands were run: $(cat trace)"
        expect_text stderr "1 command had succeeded, as the log says"
        expect_text stderr "1 command had failed, as the log says, and runs again"
        expect_text stderr "1 temporary file was removed"
        [ ! -e "$folder/.manifest.json.0123456789abcdef.tmp" ] || fail "a temporary file is left"
        expect_value "$folder/manifest.json" \
            '[(c["status"], c["exit_code"], c["summary"]) for c in d["commands"]][0]' "('succeeded', 0, 'said by a')"
        expect_value "$folder/manifest.json" 'd["commands"][0]["log_path"].endswith("/commands/01-a.ndjson"), len(d["handles"])' "(True, 5)"
        [ "$(grep -c '"type":"command:end".*"index":1}' "$folder/runner.ndjson")" -eq 1 ] || fail "no end of a, lost: $lost"
        grep '"index":1}' "$folder/runner.ndjson" | cmp - "$folder/commands/01-a.ndjson" || fail "the log of a, lost: $lost"
        forget_runs
    done
}

# kill_in_subpipeline [STAGE…]: an interrupted run p with the subpipeline q, in which x has succeeded and y was
# running, and these stages behind it. $folder is p's.
kill_in_subpipeline() {
    rm -f trace flag
    config "$(pipeline p "$(subpipeline_stage s q)" "$@")" \
        "$(pipeline q "$(command_stage x 'echo x >>trace')" "$(command_stage y "echo y >>trace; test -f flag || { touch begun; $lasting; }")")"
    start_and_wait
    kill_it
    touch flag
}

# The subpipeline's run goes on, and is not made again.
an_interrupted_subpipeline_goes_on() {
    kill_in_subpipeline "$(command_stage last 'echo last >>trace')"
    run resume "$id"
    expect_code 0 "resume"
    [ "$(tr '\n' ' ' <trace)" = "x y y last " ] || fail "commands were run: $(cat trace)"
    [ "$(ls .runs/0101/cli | wc -l)" -eq 2 ] || fail "not one run of the subpipeline"
    expect_value "$folder/manifest.json" '[(c["status"], c["run_id"] == d["commands"][0]["sub_run_id"]) for c in d["child_runs"]]' \
        "[('succeeded', True)]"
    expect_value "$(child_of s)/manifest.json" 'd["status"], d["resume_events"][0]["reason"]' "('succeeded', 'parent-resume')"
    forget_runs
}

# What can't go on is no reason to run again what has succeeded in it.
a_subpipeline_that_cannot_go_on_fails() {
    kill_in_subpipeline
    config "$(pipeline p "$(subpipeline_stage s q)")" \
        "$(pipeline q "$(command_stage x 'echo x >>trace')" "$(command_stage y 'echo y >>trace')" "$(command_stage z 'echo z >>trace')")"
    run resume "$id"
    expect_code 1 "a subpipeline with a stage more"
    expect_value "$folder/manifest.json" '"has 3 stages now" in d["commands"][0]["summary"]' True
    [ "$(tr -d '\n' <trace)" = xy ] || fail "commands were run: $(cat trace)"
    forget_runs
}

a_run_that_is_no_child_is_not_taken_for_one() {
    kill_in_subpipeline
    cp codex.orchestrator.json kept
    config "$(pipeline q "$(command_stage x true)" "$(command_stage y true)")"
    run start q
    local other
    other=$(run_folder | grep -v "$id")
    echo "1 ${other##*/}" >"$folder/.subruns"
    cp kept codex.orchestrator.json
    rm trace
    run resume "$id"
    expect_code 0 "resume"
    expect_text stderr "is not one of its pipeline 'q'"
    [ "$(tr -d '\n' <trace)" = xy ] || fail "commands were run: $(cat trace)"
    rm kept
    forget_runs
}

a_stage_of_another_kind_is_refused() {
    kill_in_subpipeline
    config "$(pipeline p "$(command_stage s 'echo s >>trace')")"
    run resume "$id"
    expect_code 2 "a subpipeline that is a command now"
    expect_text stderr "stage 's' of pipeline 'p' is of another kind now"
    forget_runs
}

# Also of a run that is too large for its commands to wait for the manifest, and of one taken up again.
the_manifest_is_there_before_the_first_command() {
    local stages=() i
    for ((i = 1; i <= 70; i++)); do
        stages+=("$(command_stage "c$i" "test $i -gt 1 || cp \$CODEX_ORCHESTRATOR_MANIFEST_PATH seen; test $i -lt 70 || test -f flag")")
    done
    config "$(pipeline p "${stages[@]}")"
    fail_for_want_of_flag --jobs 1
    expect_value seen 'd["status"]' in_progress
    make_older 'd["commands"][0]["status"] = "failed"'
    rm seen
    touch flag
    run resume "${folder##*/}"
    expect_code 0 "resume"
    expect_value seen 'd["status"]' in_progress
    rm seen flag
    forget_runs
}

# As a disk leaves it that was full for a while.
a_log_that_lacks_lines_is_mended() {
    config "$(pipeline p "$(command_stage a 'echo a')" "$(command_stage b 'echo b1; sleep 0.01; echo b2 >&2; test -f flag')")"
    fail_for_want_of_flag
    sed -i 2,3d "$folder/commands/02-b.ndjson"
    make_older 'd["commands"][1].update(status="running", completed_at=None)'
    touch flag
    run resume "${folder##*/}"
    expect_code 0 "resume"
    grep '"index":2}' "$folder/runner.ndjson" | cmp - "$folder/commands/02-b.ndjson" || fail "the log of b"
    rm flag
    forget_runs
}

# It has another's mark, and that one may live.
a_copied_run_does_not_touch_the_original() {
    config "$(pipeline p "$(command_stage a "test -f flag || { touch begun; $lasting; }")")"
    rm -f flag
    start_and_wait
    mkdir copy
    cp -a .runs codex.orchestrator.json copy
    touch copy/flag
    id=$(basename "$(run_folder)")
    (cd copy && "$program" resume "$id" >stdout 2>stderr) || fail "the copy can't be taken up: $(cat copy/stderr)"
    kill -0 "$orchestrator" || fail "the original has ended: $(cat stderr)"
    expect_value "$(run_folder)/manifest.json" 'd["status"]' in_progress
    kill_it
    rm -r copy
    forget_runs
}

temporary_files_go_with_the_next_start() {
    config "$(pipeline p "$(command_stage a "touch begun; $lasting")")" "$(pipeline q "$(command_stage x true)")"
    start_and_wait
    touch "$(run_folder)/.manifest.json.0123456789abcdef.tmp" # one of a run that is alive is not touched
    run start q
    [ -e "$(echo .runs/0101/cli/*/.manifest.json.0123456789abcdef.tmp)" ] || fail "a live run lost a file"
    [ "$(ls .runs/0101/.live | wc -l)" -eq 1 ] || fail "not one live run: $(ls .runs/0101/.live)"
    kill -KILL "$orchestrator"
    wait "$orchestrator" 2>/dev/null
    folder=$(dirname .runs/0101/cli/*/.manifest.json.*.tmp)
    mkdir -p ".runs/0101/${folder##*/}"
    touch ".runs/0101/${folder##*/}/.manifest.json.0123456789abcdef.tmp" "$folder/errors/.01-a.json.0123456789abcdef.tmp"
    run start q
    expect_code 0 "the next start"
    [ -z "$(find .runs -name '*.tmp')" ] || fail "left: $(find .runs -name '*.tmp')"
    [ -z "$(ls .runs/0101/.live)" ] || fail "still live: $(ls .runs/0101/.live)"
    forget_runs
}

# Not at the end of a run that may take hours.
what_was_found_is_said_before_it_goes_on() {
    cat >stage <<'END'
touch begun
test -f flag || exec sleep 3600
until grep -q 'had not ended and runs again' stderr; do sleep 0.01; done
END
    rm -f flag
    config "$(pipeline p "$(command_stage a ". ./stage")")"
    start_and_wait
    kill_it
    touch flag
    run resume "$id"
    expect_code 0 "resume"
    [ "$(grep -c 'had not ended' stderr)" -eq 1 ] || fail "not said once"
    rm flag
    forget_runs
}

torn_lines_are_cut_off() {
    config "$(parallel p 2 "$(command_stage a 'true')" "$(command_stage b "test -f flag")")"
    fail_for_want_of_flag
    for file in runner.ndjson privacy-decisions.ndjson commands/02-b.ndjson; do
        printf '{"type":"exec:chu' >>"$folder/$file"
    done
    touch flag
    make_older 'd["commands"][1].update(status="running", completed_at=None)'
    run resume "${folder##*/}"
    expect_code 0 "resume"
    expect_text stderr "runner.ndjson ended with a torn line of 17 bytes, which was cut off"
    for file in runner.ndjson privacy-decisions.ndjson commands/02-b.ndjson; do
        "$python" -c 'import json, sys; [json.loads(l) for l in open(sys.argv[1])]' "$folder/$file" || fail "$file"
    done
    rm flag
    forget_runs
}

the_holder_is_named() {
    config "$(pipeline p "$(command_stage a "touch begun; $lasting")")"
    start_and_wait
    folder=$(run_folder)
    run resume "${folder##*/}"
    expect_code 2 "a run that is held"
    expect_text stderr "is held by another orchestrator, process $orchestrator"
    kill_it
    forget_runs
}

commands_die_with_the_orchestrator
strays_die_with_a_cancelled_run
strays_without_a_mark_die_with_a_cancelled_run
deep_strays_die_with_a_cancelled_run
a_foreign_proc_is_not_swept
a_reaper_that_stands_still_is_not_waited_for
a_child_from_before_lives
strays_are_buried
strays_of_a_run_that_succeeds_live
nested_commands_die
the_log_knows_more_than_the_manifest
an_interrupted_subpipeline_goes_on
a_subpipeline_that_cannot_go_on_fails
a_run_that_is_no_child_is_not_taken_for_one
a_stage_of_another_kind_is_refused
the_manifest_is_there_before_the_first_command
a_log_that_lacks_lines_is_mended
a_copied_run_does_not_touch_the_original
temporary_files_go_with_the_next_start
what_was_found_is_said_before_it_goes_on
torn_lines_are_cut_off
the_holder_is_named
