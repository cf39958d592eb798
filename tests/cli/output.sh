#!/bin/bash
# `--output`: what commands print, shown while the run goes on or when they have ended.
. "$(dirname "$0")/common" "$@"
misbehave=$2
terminal="$SOURCE_DIR/tests/cli/terminal.py"
unset CI NO_COLOR
export TERM=xterm

subpipeline_stage() {
    printf '{"kind":"subpipeline","id":"%s","pipeline":"%s"}' "$1" "$2"
}

# A pipeline whose stages may run at the same time.
parallel() {
    pipeline "$@" | sed 's/^{/{"jobs":4,/; s/{"kind"/{"needs":[],"kind"/g'
}

# The lines of commands in a file: what comes before the result and is no message.
shown() {
    sed '/^Run started: /,$d; /^Run resumed: /,$d; /^codex-orchestrator: /d' "$1"
}

# expect_shown FILE TEXT…: these lines are what it shows of commands.
expect_shown() {
    local file=$1
    shift
    { [ $# -eq 0 ] || printf '%s\n' "$@"; } | cmp -s - <(shown "$file") || fail "$file shows: $(shown "$file")"
}

# Runs the program with a terminal as stderr; what it showed there is in the file "screen".
on_terminal() {
    code=0
    "$python" "$terminal" 80 "" "" "$program" "$@" 2>stderr || code=$?
    tr -d '\r' <screen >screen.lines
}

nothing_is_shown_by_default() {
    local option
    config "$(pipeline p "$(command_stage a "echo out; echo err >&2")")"
    for option in "" --output=none "--output none"; do
        run start $option p
        expect_code 0 "start $option"
        expect_shown stdout
        expect_shown stderr
    done
    forget_runs
}

other_words_are_refused() {
    local word
    config "$(pipeline p "$(command_stage a true)")"
    for word in all "" LINES; do
        run start --output "$word" p
        expect_code 2 "--output '$word'"
        expect_empty stdout
        expect_text stderr "start: --output must be none, lines, grouped or errors, not '$word'"
        run resume --output "$word" 2026-01-01T00-00-00-000Z-00000000
        expect_code 2 "resume --output '$word'"
        expect_text stderr "resume: --output must be none, lines, grouped or errors, not '$word'"
    done
    expect_nothing_created "by a wrong --output"
}

lines_say_whose_they_are() {
    config "$(pipeline p "$(command_stage a "echo one; echo; echo ' two '")" \
        "$(subpipeline_stage sub q)" "$(command_stage last "echo three")")" \
        "$(pipeline q "$(command_stage b "echo inner")" "$(subpipeline_stage deep r)")" \
        "$(pipeline r "$(command_stage c "echo innermost")")"
    run start --output lines p
    expect_code 0 "lines"
    expect_shown stdout "[a] one" "[a] " "[a]  two " "[sub/b] inner" "[sub/deep/c] innermost" "[last] three"
    expect_text stdout "Status: succeeded"
    expect_shown stderr
    forget_runs
}

names_cannot_break_lines() {
    config "$(pipeline p "$(command_stage 'a\n\u001b[2J' "echo text")")"
    run start --output lines p
    expect_shown stdout '[a\x0a\x1b[2J] text'
    run start --output grouped p
    expect_shown stdout '==> a\x0a\x1b[2J' text
    forget_runs
}

streams_stay_apart() {
    local mode
    config "$(pipeline p "$(command_stage a "echo out; echo err >&2")")"
    run start --output lines p
    expect_shown stdout "[a] out"
    expect_shown stderr "[a] err"
    run start --output grouped p
    expect_shown stdout "==> a" out
    expect_shown stderr "==> a" err
    "$program" start --output grouped p >both 2>&1
    [ "$(grep -c '^==> a$' both)" -eq 1 ] || fail "one place is told twice: $(cat both)"
    for mode in lines grouped; do
        run start --output "$mode" --format json p
        expect_code 0 "$mode with JSON"
        expect_value stdout 'd["status"]' succeeded
        expect_text stderr out
        expect_text stderr err
    done
    forget_runs
}

unfinished_lines_are_ended() {
    config "$(pipeline p "$(command_stage a "printf half; printf oops >&2")" "$(command_stage b "echo whole")")"
    run start --output lines p
    expect_shown stdout "[a] half" "[b] whole"
    expect_shown stderr "[a] oops"
    run start --output grouped p
    expect_shown stdout "==> a" half "==> b" whole
    forget_runs
}

# What is shown of a stage, without its prefix.
of_stage() {
    grep -a "^\[$1\] " stdout | sed "s|^\[$1\] ||"
}

long_output_is_complete() {
    "$misbehave" lines 100000 >expected
    config "$(pipeline p "$(command_stage a "'$misbehave' lines 100000")")"
    run start --output lines p
    expect_code 0 "100,000 lines"
    of_stage a | cmp -s - expected || fail "lines: not what was printed"
    run start --output grouped p
    shown stdout | tail -n +2 | cmp -s - expected || fail "grouped: not what was printed"
    forget_runs
}

bytes_are_exact() {
    local mode
    "$misbehave" bytes 300000 5 >expected
    config "$(pipeline p "$(command_stage a "cat expected; echo")")"
    for mode in lines grouped; do
        run start --output "$mode" p
        expect_code 0 "binary, $mode"
        "$python" - "$mode" <<'END' || fail "$mode: other bytes than were printed"
import sys
expected = open("expected", "rb").read() + b"\n"
if sys.argv[1] == "lines":
    expected = b"".join(b"[a] " + line + b"\n" for line in expected.split(b"\n")[:-1])
else:
    expected = b"==> a\n" + expected
sys.exit(not open("stdout", "rb").read().startswith(expected + b"Run started: "))
END
    done
    forget_runs
}

overlong_lines_are_shown_in_pieces() {
    config "$(pipeline p "$(command_stage a "head -c 150000 /dev/zero | tr '\\\\0' x; echo; echo next")")"
    run start --output lines p
    shown stdout | awk '{ print substr($0, 1, 5), length($0) }' >lengths
    printf '%s\n' "[a] x 65540" "[a] x 65540" "[a] x 18932" "[a] n 8" | cmp -s - lengths || fail "pieces: $(cat lengths)"
    forget_runs
}

# Whether or not they run at the same time, no line is torn or lost.
chatty_stages_share_the_output() {
    local stage
    config "$(parallel p "$(command_stage one "seq 30000")" "$(command_stage two "seq 30000 | sed s/^/two-/")" \
        "$(subpipeline_stage s q)" "$(subpipeline_stage t q)")" \
        "$(parallel q "$(command_stage x "seq 20000")" "$(command_stage y "seq 20000 >&2")")"
    code=0
    "$program" start --output lines p >stdout 2>&1 || code=$?
    expect_code 0 "chatty stages"
    shown stdout | grep -vqE '^\[(one|two|s/x|s/y|t/x|t/y)\] (two-)?[0-9]+$' && fail "a line is torn"
    [ "$(shown stdout | wc -l)" -eq 140000 ] || fail "$(shown stdout | wc -l) lines"
    of_stage one | cmp -s - <(seq 30000) || fail "one: not what was printed"
    of_stage two | cmp -s - <(seq 30000 | sed s/^/two-/) || fail "two: not what was printed"
    for stage in s/x s/y t/x t/y; do
        of_stage "$stage" | cmp -s - <(seq 20000) || fail "$stage: not what was printed"
    done
    code=0
    "$program" start --output grouped p >stdout 2>&1 || code=$?
    for stage in one s/x s/y t/x t/y; do
        sed -n "\\|^==> $stage\$|,/^[=R]/p" stdout | grep -c '^[0-9]*$' >count
        [ "$(cat count)" -eq 20000 ] || [ "$stage $(cat count)" = "one 30000" ] ||
            fail "$stage is not in one piece: $(cat count) lines"
    done
    forget_runs
}

# What is read late is shown in the order it happened, though it is in the logs of several runs.
late_readers_see_the_order() {
    local i stages=()
    for i in 1 2 3 4 5 6; do
        stages+=("$(command_stage "c$i" "echo $i")" "$(subpipeline_stage "s$i" q)")
    done
    config "$(pipeline p "${stages[@]}" "$(command_stage end "echo >ended")")" \
        "$(pipeline q "$(command_stage x "echo x")")"
    printf '%s\n' "[c1] 1" "[s1/x] x" "[c2] 2" "[s2/x] x" "[c3] 3" "[s3/x] x" "[c4] 4" "[s4/x] x" \
        "[c5] 5" "[s5/x] x" "[c6] 6" "[s6/x] x" >expected
    open_pipe 5 ended
    "$python" - "$program" <<'END' || fail "see above"
import os, subprocess, sys
out, to = os.pipe()
while True: # a pipe that is full from the beginning
    os.set_blocking(to, False)
    try:
        os.write(to, b"\n" * 65536)
    except BlockingIOError:
        break
os.set_blocking(to, True)
run = subprocess.Popen([sys.argv[1], "start", "--output", "lines", "p"], stdout=to)
os.close(to)
open("ended").readline()
shown = open(out).read().lstrip("\n")
sys.exit(run.wait() != 0 or not shown.startswith(open("expected").read() + "Run started: ") and print(shown) is None)
END
    exec 5>&-
    forget_runs
}

groups_come_when_commands_end() {
    config "$(pipeline p "$(command_stage a "echo one; echo two" '"title":"The first"')" \
        "$(command_stage quiet true)" "$(subpipeline_stage s q)" \
        "$(command_stage b "echo bad; exit 7" '"allowFailure":true')" \
        "$(command_stage c 'echo worse; kill -KILL $$')")" \
        "$(pipeline q "$(command_stage x "echo inner" '"title":"The inner"')")"
    code=0
    "$program" start --output grouped p >stdout 2>&1 || code=$?
    expect_code 1 "grouped"
    expect_shown stdout "==> a (The first)" one two "==> s/x (The inner)" inner \
        "==> b" bad "==> b: exit code 7" "==> c" worse "==> c: ended by SIGKILL"
    expect_text stdout "codex-orchestrator: run failed: stage:c:failed"
    forget_runs
}

errors_are_only_of_what_failed() {
    config "$(pipeline p "$(command_stage a "echo fine")" \
        "$(command_stage b "echo bad; echo reason >&2; exit 7" '"allowFailure":true')" \
        "$(command_stage c "exit 4" '"allowFailure":true')" "$(command_stage d "echo fine" '"cwd":"nowhere"')")"
    run start --output errors p
    expect_code 1 "errors"
    expect_shown stdout "==> b" bad
    expect_shown stderr "==> b" reason "==> b: exit code 7" "==> c: exit code 4" "==> d: could not be executed"
    [ "$(tail -n 1 stderr)" = "codex-orchestrator: run failed: stage:d:error" ] || fail "the last line is another"
    forget_runs
}

only_this_session_is_shown() {
    local mode id
    config "$(pipeline p "$(command_stage a "echo done")" \
        "$(command_stage b 'cat word; test $(cat word) = third')")"
    for mode in lines grouped errors; do
        echo first >word
        run start --output "$mode" p
        expect_code 1 "the first session, $mode"
        id=$(basename "$(run_folder)")
        echo second >word
        run resume --output "$mode" "$id"
        expect_code 1 "the second session, $mode"
        case $mode in
        lines) expect_shown stdout "[b] second" ;;
        *) expect_shown stdout "==> b" second ;;
        esac
        echo third >word
        run resume --output "$mode" "$id"
        expect_code 0 "the third session, $mode"
        case $mode in
        lines) expect_shown stdout "[b] third" ;;
        grouped) expect_shown stdout "==> b" third ;;
        errors) expect_shown stdout ;;
        esac
        forget_runs
    done
}

# start_gated MODE COMMAND: its stdout is a pipe nobody reads yet. $orchestrator is set then.
start_gated() {
    open_pipe 4 gate
    open_pipe 5 started
    open_pipe 6 pipe
    config "$(pipeline p "$(command_stage a "$2")" "$(command_stage b "echo last")")"
    "$program" start --output "$1" p >pipe 2>stderr 4>&- 5>&- 6>&- &
    orchestrator=$!
}

end_gated() {
    code=0
    wait "$orchestrator" || code=$?
    exec 4>&- 5>&- 6>&-
    wait
}

lines_come_while_the_command_runs() {
    local line
    start_gated lines "echo ready; read x <gate"
    read -r line <&6
    [ "$line" = "[a] ready" ] || fail "the first line is: $line"
    echo >&4
    read_on
    end_gated
    expect_code 0 "a line at a time"
    forget_runs
}

a_reader_that_goes_away_ends_nothing() {
    local line
    start_gated lines "echo one; read x <gate; echo two"
    read -r line <pipe
    exec 6>&-
    echo >&4
    end_gated
    expect_code 1 "stdout closed early"
    expect_text stderr "stdout was closed: the run goes on, and is recorded"
    expect_value "$(run_folder)/manifest.json" 'd["status"]' succeeded
    forget_runs
}

a_reader_that_does_not_read_holds_nothing_up() {
    local mode
    "$misbehave" lines 50000 >expected
    for mode in lines grouped; do
        start_gated "$mode" "'$misbehave' lines 50000; echo >started"
        read -r _ <&5 # the command is done, though nobody has read a line
        read_on
        end_gated
        expect_code 0 "a slow reader, $mode"
        shown stdout | sed 's/^\[a\] //; /^==> /d; s/^\[b\] //; /^last$/d' | cmp -s - expected ||
            fail "$mode: not what was printed"
        forget_runs
    done
}

a_signal_ends_the_run_and_then_the_program() {
    start_gated lines "'$misbehave' lines 50000; echo >started; exec '$misbehave' hold"
    read -r _ <&5
    kill -TERM "$orchestrator"
    read_on
    end_gated
    expect_code 143 "TERM while stdout is stuck"
    [ "$(of_stage a | wc -l)" -eq 50000 ] || fail "$(of_stage a | wc -l) lines were shown"
    expect_value "$(run_folder)/manifest.json" 'd["status"]' cancelled
    forget_runs
}

unwritable_output_is_an_error() {
    config "$(pipeline p "$(command_stage a "echo out; echo err >&2")")"
    code=0
    "$program" start --output lines p >/dev/full 2>stderr || code=$?
    expect_code 1 "stdout is full"
    expect_text stderr "can't write to stdout: No space left on device"
    expect_text stderr "[a] err"
    code=0
    "$program" start --output lines --format json p >stdout 2>/dev/full || code=$?
    expect_code 1 "stderr is full"
    expect_value stdout 'd["status"]' succeeded
    code=0
    "$program" start --output lines p >&- 2>stderr || code=$?
    expect_code 1 "stdout is closed"
    expect_text stderr "can't write to stdout: Bad file descriptor"
    forget_runs
}

# The logs may not grow beyond 200 KiB: the run fails, and what they hold is shown all the same.
what_was_recorded_is_shown_when_recording_fails() {
    local mode
    config "$(pipeline p "$(command_stage a "'$misbehave' lines 50000")")"
    for mode in lines grouped errors; do
        (trap '' XFSZ && ulimit -f 200 && exec "$program" start --output "$mode" p) 2>stderr | cat >stdout
        code=${PIPESTATUS[0]}
        expect_code 1 "no room for the logs, $mode"
        expect_text stderr "run failed: storage:error"
        "$misbehave" lines 1000 | cmp -s - <(shown stdout | sed 's/^\[a\] //; /^==> /d' | head -n 1000) ||
            fail "$mode: what was recorded is not shown"
        [ "$mode" = lines ] || expect_text stderr "==> a: its end is not in the log"
    done
    forget_runs
}

memory_does_not_grow_with_the_output() {
    local mode
    [ -z "$sanitizer" ] || return 0 # their own memory is far above what is measured
    config "$(pipeline p "$(command_stage a "'$misbehave' lines 500000")")"
    for mode in lines grouped; do
        "$python" - "$program" "$mode" <<'END' || fail "$mode: see above"
import os, subprocess, sys
program, mode = sys.argv[1:]
run = subprocess.Popen([program, "start", "--output", mode, "p"], stdout=subprocess.PIPE)
read = peak = 0
while piece := os.read(run.stdout.fileno(), 1 << 20):
    read += len(piece)
    status = open("/proc/%d/status" % run.pid).read()
    if "VmHWM" in status: # it has not ended yet
        peak = int(status.split("VmHWM:")[1].split()[0])
print("read", read, "peak KiB", peak)
sys.exit(run.wait() != 0 or read < 4 * 10**7 or not 1000 < peak <= 16 * 1024)
END
    done
    forget_runs
}

a_terminal_gets_colours() {
    config "$(pipeline p "$(command_stage a "echo out; echo err >&2")" "$(command_stage b "echo err >&2")")"
    on_terminal start --output lines p
    expect_code 0 "on a terminal"
    expect_shown screen.lines $'\x1b[33m[a]\x1b[0m err' $'\x1b[32m[b]\x1b[0m err'
    expect_shown stdout "[a] out"
    NO_COLOR=1 on_terminal start --output lines p
    expect_shown screen.lines "[a] err" "[b] err"
    TERM=dumb on_terminal start --output lines p
    expect_shown screen.lines "[a] err" "[b] err"
    config "$(pipeline p "$(command_stage a "echo err >&2; exit 3" '"title":"T"')")"
    on_terminal start --output errors p
    expect_shown screen.lines $'\x1b[33m==> a\x1b[0m (T)' err $'\x1b[31m==> a: exit code 3\x1b[0m'
    forget_runs
}

a_terminal_is_not_taken_over() {
    local mode
    config "$(pipeline p "$(command_stage a \
        "printf 'a\\\\tb\\\\033[2J\\\\007\\\\377\\\\r\\\\n\\\\033[1;31mred\\\\ngrün' >&2")")"
    NO_COLOR=1 on_terminal start --output lines p
    expect_shown screen.lines '[a] a'$'\t''b\x1b[2J\x07\xff' $'[a] \x1b[1;31mred\x1b[0m' '[a] grün'
    NO_COLOR=1 on_terminal start --output grouped --format json p
    expect_shown screen.lines '==> a' 'a'$'\t''b\x1b[2J\x07\xff' $'\x1b[1;31mred\x1b[0m' 'grün'
    expect_value stdout 'd["status"]' succeeded
    TERM=dumb on_terminal start --output lines p
    expect_text screen.lines '[a] \x1b[1;31mred'
    forget_runs
}

there_is_no_progress_beside_it() {
    config "$(pipeline p "$(command_stage a true)")"
    on_terminal start --output lines --interactive p
    expect_text screen "progress is off: --output is given"
    ! grep -q "ok  " screen || fail "there is progress"
    forget_runs
}

nothing_is_shown_by_default
other_words_are_refused
lines_say_whose_they_are
names_cannot_break_lines
streams_stay_apart
unfinished_lines_are_ended
long_output_is_complete
bytes_are_exact
overlong_lines_are_shown_in_pieces
chatty_stages_share_the_output
late_readers_see_the_order
groups_come_when_commands_end
errors_are_only_of_what_failed
only_this_session_is_shown
lines_come_while_the_command_runs
a_reader_that_goes_away_ends_nothing
a_reader_that_does_not_read_holds_nothing_up
a_signal_ends_the_run_and_then_the_program
unwritable_output_is_an_error
what_was_recorded_is_shown_when_recording_fails
memory_does_not_grow_with_the_output
a_terminal_gets_colours
a_terminal_is_not_taken_over
there_is_no_progress_beside_it
