#!/bin/bash
# Progress of `start` and `resume` on a terminal, and when there is none.
. "$(dirname "$0")/common" "$@"
terminal="$SOURCE_DIR/tests/cli/terminal.py"
unset CI NO_COLOR
export TERM=xterm
mkfifo fifo

# on_terminal COLUMNS TEXT ACTION ARGUMENT…: the program; what it showed is in the file "screen".
on_terminal() {
    local columns=$1 text=$2 action=$3
    shift 3
    code=0
    python3 "$terminal" "$columns" "$text" "$action" "$program" "$@" 2>stderr || code=$?
}

# What is there to read on the terminal when all is over: erased lines are gone.
left_on_screen() {
    python3 -c '
import re
for line in open("screen", newline="", encoding="utf-8").read().split("\r\n"):
    print(re.sub("\x1b\\[[0-9]*m", "", line.rpartition("\r\x1b[K")[2]))'
}

# expect_left TEXT…: these lines, without sizes and times, are what is left, before the messages.
expect_left() {
    printf '%s\n' "$@" >wanted
    left_on_screen | grep -v '^codex-orchestrator: ' | sed -E 's/  [0-9].*//; /^$/d' >left
    cmp -s left wanted || fail "left on the screen: $(left_on_screen)"
}

expect_no_progress() {
    ! grep -q $'\x1b' screen || fail "there is progress in spite of $1"
}

waiting_config() {
    config "$(pipeline p "$(command_stage a "echo one" '"title":"First"')" \
        "$(command_stage b "echo two; read x <fifo; exit 3" '"title":"Second","allowFailure":true')" \
        "$(command_stage c "exit 1" '"title":"Third"')")"
}

short_config() {
    config "$(pipeline p "$(command_stage a true)")"
}

stages_are_followed() {
    waiting_config
    on_terminal 80 "4 B  1 line" "echo >fifo" start p
    expect_code 1 "a failing run on a terminal"
    expect_text screen $'\x1b[1m[1/3] \x1b[0mSecond  '
    expect_text screen $'\x1b[32mok  \x1b[0mFirst  '
    expect_left "ok  First" "skipped  Second" "failed  Third"
    expect_text stdout "Status: failed"
    ! grep -q $'\x1b' stdout || fail "progress is on stdout"
    forget_runs
}

a_resumed_run_counts_what_was_done() {
    local run
    waiting_config
    on_terminal 80 "Second" "echo >fifo" start p
    run=$(run_folder)
    run=${run##*/}
    config "$(pipeline p "$(command_stage a "exit 9")" "$(command_stage b "exit 9")" \
        "$(command_stage c "read x <fifo" '"title":"Third"')")"
    on_terminal 80 "Third" "echo >fifo" resume "$run"
    expect_code 0 "a resumed run on a terminal"
    expect_text screen "[2/3] "
    expect_left "ok  Third"
    forget_runs
}

subpipelines_are_shown_inside() {
    config "$(pipeline p '{"kind":"subpipeline","id":"s","title":"Outer","pipeline":"q"}')" \
        "$(pipeline q "$(command_stage a "read x <fifo" '"title":"Inner"')")"
    on_terminal 80 "Outer › Inner" "echo >fifo" start p
    expect_code 0 "a subpipeline on a terminal"
    expect_left "  ok  Inner" "ok  Outer"
    forget_runs
}

# Columns as the terminal counts them; the last one stays free.
nothing_wraps() {
    local title='日本語 a title that is longer than this narrow terminal is wide \u001b[2J'
    config "$(pipeline p "$(command_stage a "read x <fifo" "\"title\":\"$title\"")")"
    on_terminal 40 "[0/1]" "echo >fifo" start p
    expect_code 0 "a narrow terminal"
    expect_text screen "日本語 a title"
    ! grep -q $'\x1b\\[2J' screen || fail "a title reached the terminal as it is"
    python3 -c '
import re, sys, unicodedata
text = open("screen", newline="", encoding="utf-8").read()
for line in re.split("\r\n|\r\x1b\\[K", text):
    line = re.sub("\x1b\\[[0-9]*m", "", line)
    columns = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)
    if columns >= 40 and not line.startswith("codex-orchestrator: "):
        sys.exit("%d columns: %s" % (columns, line))' || fail "a line is too long"
    forget_runs
}

output_is_not_dropped_for_it() {
    config "$(pipeline p "$(command_stage a "exec seq 1000000" '"title":"Chatty"')" \
        "$(command_stage b true '"title":"Quiet"')")"
    on_terminal 80 "" "" start p
    expect_code 0 "a chatty command on a terminal"
    expect_left "ok  Chatty" "ok  Quiet"
    python3 - "$(run_folder)/commands/01-a.ndjson" <<'END' || fail "output is missing in the log"
import json, sys
lines = map(json.loads, open(sys.argv[1], encoding="utf-8"))
text = "".join(line["data"] for line in lines if line["type"] == "exec:chunk")
sys.exit(text != "".join("%d\n" % i for i in range(1, 1000001)))
END
    forget_runs
}

an_interrupt_clears_the_line_first() {
    config "$(pipeline p "$(command_stage a "read x <fifo" '"title":"Wait"')")"
    on_terminal 80 "[0/1]" interrupt start p
    expect_code 130 "Ctrl-C"
    expect_text screen $'\r\x1b[Kcodex-orchestrator: signal 2: ending the run'
    expect_left "failed  Wait"
    expect_value "$(run_folder)/manifest.json" 'd["status"]' cancelled
    forget_runs
}

colours_can_be_refused() {
    short_config
    NO_COLOR=1 on_terminal 80 "" "" start p
    expect_text screen "ok  a  "
    ! grep -q $'\x1b\\[[0-9]*m' screen || fail "there are colours in spite of NO_COLOR"
    NO_COLOR='' on_terminal 80 "" "" start p
    expect_text screen $'\x1b[32mok'
    forget_runs
}

it_can_be_off() {
    short_config
    TERM=dumb on_terminal 80 "" "" start p
    expect_no_progress "TERM=dumb"
    (unset TERM && on_terminal 80 "" "" start p)
    expect_no_progress "no TERM"
    CI=1 on_terminal 80 "" "" start p
    expect_no_progress "CI"
    CI=false on_terminal 80 "" "" start p
    expect_text screen "ok  "
    on_terminal 80 "" "" start --no-interactive p
    expect_no_progress "--no-interactive"
    on_terminal 80 "" "" start --format json p
    expect_no_progress "--format json"
    on_terminal 80 "" "" start --output errors p
    expect_no_progress "--output errors"
    run start p
    expect_code 0 "no terminal"
    ! grep -q "progress\|ok  a" stderr || fail "there is something about progress on a file"
    forget_runs
}

it_says_why_it_is_off() {
    local option
    short_config
    for option in --interactive --ui; do
        run start "$option" p
        expect_code 0 "$option without a terminal"
        [ "$(grep -c "progress is off" stderr)" -eq 1 ] || fail "not one reason"
        expect_text stderr "codex-orchestrator: progress is off: stderr is not a terminal"
        on_terminal 80 "" "" start "$option" p
        expect_text screen "ok  "
        ! grep -q "progress is off" screen || fail "progress is said to be off"
    done
    forget_runs
    CI=true TERM=dumb run start --ui --no-interactive --format json --output lines p
    grep "progress is off" stderr >reasons
    printf 'codex-orchestrator: progress is off: %s\n' "--no-interactive is given" \
        "--format json is given" "--output is given" "stderr is not a terminal" "TERM is not set, or dumb" "CI is set" |
        cmp -s - reasons || fail "the reasons read differently"
    run resume --ui "$(basename "$(run_folder)")"
    expect_text stderr "progress is off: stderr is not a terminal"
    forget_runs
}

stages_are_followed
a_resumed_run_counts_what_was_done
subpipelines_are_shown_inside
nothing_wraps
output_is_not_dropped_for_it
an_interrupt_clears_the_line_first
colours_can_be_refused
it_can_be_off
it_says_why_it_is_off
