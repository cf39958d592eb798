#!/bin/bash
# exec: what it prints and where, exit codes, and readers that are slow or go away.
. "$(dirname "$0")/common" "$@"
misbehave=$2

# refused TEXT ARGUMENT…: nothing is run.
refused() {
    local text=$1
    shift
    run exec "$@"
    expect_code 125 "exec $*"
    expect_empty stdout
    expect_text stderr "$text"
    expect_nothing_created "by exec $*"
}

# lines EXPRESSION: a Python expression over `l`, the list of the JSON documents in stdout's lines.
lines() {
    "$python" -c 'import base64, json, sys; l = [json.loads(x) for x in open("stdout")]; print(eval(sys.argv[1]))' "$1"
}

# expect_lines EXPRESSION VALUE
expect_lines() {
    local got
    got=$(lines "$1") || fail "stdout: no $1"
    [ "$got" = "$2" ] || fail "stdout: $1 is '$got', not '$2'"
}

help_names_every_option() {
    local word option
    for word in --help -h; do
        run exec "$word"
        expect_code 0 "exec $word"
        expect_empty stderr
        for option in --jsonl '--json[=' --cwd --task --help; do
            expect_text stdout "  $option"
        done
    done
    expect_nothing_created "by exec --help"
}

misuse_is_refused() {
    refused "exec requires a command"
    refused "exec requires a command" --json --
    refused "Unknown exec option: --bogus. Options of the command go behind --" --bogus x
    refused "Unknown exec option: --color. Options of the command go behind --" ls --color=never
    refused "Unknown exec option: --taks; did you mean --task?" --taks=1 x
    refused "Cannot combine --jsonl with other output modes." --json --jsonl -- true
    refused "Cannot combine --json with other output modes." --jsonl --json=compact -- true
    refused "exec: --json must be pretty or compact, not 'xml'" --json=xml true
    refused "exec: option --jsonl takes no value" --jsonl=1 true
    refused "exec: option --cwd needs a value" true --cwd
    refused "exec: option --task needs a value" --task= true
    refused 'Invalid task ID' --task a/b true
    refused "exec: word 2 of the command is not UTF-8" echo $'\xff'
    CODEX_ORCHESTRATOR_EXEC_EVENT_MAX_CHUNKS=few refused \
        'CODEX_ORCHESTRATOR_EXEC_EVENT_MAX_CHUNKS is "few": not a number from 0' true
}

# exits CODE ARGUMENT…
exits() {
    local expected=$1
    shift
    run exec --json "$@"
    expect_code "$expected" "exec $*"
}

the_exit_code_is_the_commands() {
    exits 0 true
    expect_empty stderr
    exits 3 -- sh -c 'exit 3'
    expect_empty stderr
    expect_value stdout 'd["payload"]["result"]["exitCode"]' 3
    exits 127 no-such-command-anywhere
    exits 143 -- "$misbehave" kill 15
    expect_value stdout 'd["payload"]["status"]' failed
    # The shell that runs it may be replaced by the command or report its signal as a code.
    exits 137 -- "$misbehave" kill 9
    exits 125 -- sh -c 'exit 125'
    expect_empty stderr
    forget_runs
}

a_folder_that_cannot_be_entered_is_our_failure() {
    exits 125 --cwd nowhere true
    expect_text stderr "($PWD/nowhere): No such file or directory"
    [ "$(wc -l <stderr)" -eq 1 ] || fail "more than a line on stderr"
    expect_value stdout 'd["payload"]["result"]["exitCode"]' None
    expect_value stdout 'd["payload"]["command"]["cwd"]' nowhere
    expect_value stdout '"handleId" in d["payload"]["toolRun"]["metadata"]' False
    expect_value "$(run_folder)/manifest.json" 'd["status_detail"]' exec-failed
    forget_runs
}

words_reach_the_command_as_they_are() {
    run exec --json -- printf '[%s]' 'a b' "it's" '$HOME' '' '*' --json -- $'two\nlines'
    expect_code 0 "words"
    expect_value stdout 'd["payload"]["outputs"]["stdout"]' \
        "[a b][it's][\$HOME][][*][--json][--][two
lines]"
    run exec echo hi --json -n # an option of ours behind the command is ours, as ever
    expect_code 0 "option behind the command"
    expect_value stdout 'd["payload"]["command"]["argv"]' "['echo', 'hi', '-n']"
    forget_runs
}

json_is_the_record() {
    run exec --json echo hi
    cmp stdout "$(run_folder)/run-summary.json" || fail "pretty: stdout is not the record"
    [ ! -e out/0101/runs.json ] || fail "exec writes history"
    [ "$(ls .runs/0101)" = "cli
mcp
metrics
metrics.json" ] || fail "there is more in .runs/0101: $(ls .runs/0101)"
    forget_runs
    for style in --json=compact '--json compact'; do
        run exec $style echo '  a  "b"  '
        [ "$(wc -l <stdout)" -eq 1 ] || fail "$style is not one line"
        expect_value stdout 'd["payload"]["outputs"]["stdout"]' '  a  "b"  '
        expect_value stdout "d == json.load(open('$(run_folder)/run-summary.json'))" True
        forget_runs
    done
}

lines_are_events_and_the_record() {
    run exec sh -c 'echo out; exit 4'
    expect_code 4 "jsonl"
    expect_empty stderr
    expect_lines '[x["type"] for x in l]' "['exec:begin', 'exec:chunk', 'exec:end', 'run:summary']"
    expect_lines "l[-1] == json.load(open('$(run_folder)/run-summary.json'))" True
    expect_lines 'repr(l[2]["payload"]["stdout"])' "'out\\n'"
    forget_runs
}

the_configuration_is_not_read() {
    echo '{ broken' >codex.orchestrator.json
    exits 0 true
    rm codex.orchestrator.json
    forget_runs
}

binary_output_is_exact() {
    "$misbehave" bytes 300000 7 >expected
    run exec --jsonl -- "$misbehave" bytes 300000 7
    expect_code 0 "binary"
    "$python" - <<'PYTHON' || fail "the bytes differ"
import base64, json, sys
events = [json.loads(x) for x in open("stdout")]
record = events[-1]["payload"]["toolRun"]["events"]
def joined(chunks):
    return b"".join(base64.b64decode(c["dataBase64"]) if "dataBase64" in c else c["data"].encode()
                    for c in chunks)
expected = open("expected", "rb").read()
sys.exit(joined(e["payload"] for e in events if e["type"] == "exec:chunk") != expected or
         joined(e for e in record if e["type"] == "exec:chunk") != expected)
PYTHON
    forget_runs
}

memory_does_not_grow_with_the_output() {
    [ -z "$sanitizer" ] || return 0 # their own memory is far above what is measured
    "$python" - "$program" "$misbehave" <<'PYTHON' || fail "see above"
import os, subprocess, sys
program, misbehave = sys.argv[1:]
run = subprocess.Popen([program, "exec", "--jsonl", "--", misbehave, "lines", "1250000"],
                       stdout=subprocess.PIPE)
read = peak = 0
while piece := os.read(run.stdout.fileno(), 1 << 20):
    read += len(piece)
    status = open("/proc/%d/status" % run.pid).read()
    if "VmHWM" in status: # it has not ended yet
        peak = int(status.split("VmHWM:")[1].split()[0])
print("read", read, "peak KiB", peak)
sys.exit(run.wait() != 0 or read < 2 * 10**8 or not 1000 < peak <= 16 * 1024)
PYTHON
    forget_runs
}

# Starts a command behind a gate; its stdout is a pipe nobody reads yet. $orchestrator is set then.
start_gated() {
    open_pipe 4 gate
    open_pipe 5 started
    open_pipe 6 pipe
    "$program" exec --jsonl -- sh -c "$1" >pipe 2>stderr 4>&- 5>&- 6>&- &
    orchestrator=$!
}

end_gated() {
    code=0
    wait "$orchestrator" || code=$?
    exec 4>&- 5>&- 6>&-
}

a_reader_that_goes_away_ends_nothing() {
    start_gated 'echo one; read -r line <gate; echo two; exit 3'
    { read -r begin && read -r chunk; } <pipe
    exec 6>&-
    [[ $begin == '{"type":"exec:begin"'* && $chunk == *'"data":"one\n"'* ]] || fail "events come too late"
    echo >&4
    end_gated
    expect_code 3 "stdout closed early"
    expect_text stderr "stdout was closed: the command goes on, and is recorded"
    expect_value "$(run_folder)/run-summary.json" 'repr(d["payload"]["outputs"]["stdout"])' "'one\\ntwo\\n'"
    expect_value "$(run_folder)/manifest.json" 'd["status"]' failed
    forget_runs
}

a_reader_that_does_not_read_holds_nothing_up() {
    start_gated "'$misbehave' lines 50000; echo >started; exit 6"
    read -r _ <&5 # the command is done, though nobody has read a line
    read_on
    end_gated
    wait
    expect_code 6 "slow reader"
    expect_empty stderr
    expect_lines 'sum(x["payload"]["bytes"] for x in l if x["type"] == "exec:chunk")' 4000000
    expect_lines 'l[-1]["type"]' run:summary
    forget_runs
}

# When the record is there only printing is left, but for a moment more: asked again, it ends.
end_when_only_printing_is_left() {
    until [ -e "$(echo .runs/0101/cli/*/run-summary.json)" ]; do
        sleep 0.05
    done
    while kill -TERM "$orchestrator" 2>kill.err; do
        sleep 0.05
    done
}

a_signal_ends_the_command_and_then_the_program() {
    start_gated "'$misbehave' lines 50000; echo >started; exec '$misbehave' hold"
    read -r _ <&5
    kill -TERM "$orchestrator"
    read_on
    end_gated
    wait
    expect_code 143 "TERM while stdout is stuck"
    expect_text stderr "signal 15: ending the run"
    expect_lines 'l[-1]["type"]' run:summary
    expect_value "$(run_folder)/manifest.json" 'd["commands"][0]["status"]' failed
    forget_runs
    start_gated "'$misbehave' lines 50000; echo >started; exit 0"
    read -r _ <&5
    end_when_only_printing_is_left
    end_gated
    expect_code 143 "TERM when only printing is left"
    expect_value "$(run_folder)/manifest.json" 'd["status"]' succeeded
    forget_runs
}

output_that_cannot_be_printed_is_our_failure() {
    local mode
    for mode in --json --jsonl; do
        code=0
        "$program" exec $mode true >/dev/full 2>stderr || code=$?
        expect_code 125 "$mode to a full device"
        expect_text stderr "can't write to stdout: No space left on device"
        code=0
        "$program" exec $mode -- sh -c 'exit 9' >/dev/full 2>stderr || code=$?
        expect_code 9 "$mode to a full device, the command failed itself"
        code=0
        "$program" exec $mode true >&- 2>stderr || code=$?
        expect_code 125 "$mode to a closed stdout"
        expect_text stderr "can't write to stdout: Bad file descriptor"
    done
    forget_runs
}

a_terminal_shows_the_commands_output() {
    "$python" - "$program" <<'PYTHON' || fail "see above"
import os, pty, subprocess, sys
master, slave = pty.openpty()
run = subprocess.Popen([sys.argv[1], "exec", "--", "sh", "-c", "echo 'o u t'; printf '\\377' >&2; exit 7"],
                       stdout=slave, stderr=open("stderr", "wb"))
os.close(slave)
shown = b""
while True:
    try:
        piece = os.read(master, 4096)
    except OSError: # the last writer has closed it
        break
    if not piece:
        break
    shown += piece
lines = shown.decode().replace("\r\n", "\n").split("\n")
name = os.listdir(".runs/0101/cli")[0]
folder = ".runs/0101/cli/" + name
expected = ["$ sh -c 'echo '\\''o u t'\\''; printf '\\''\\377'\\'' >&2; exit 7'", "o u t", "",
            name + " FAILED", "Manifest: " + folder + "/manifest.json",
            "Log: " + folder + "/runner.ndjson", ""]
print(lines, expected, sep="\n")
sys.exit(run.wait() != 7 or lines != expected or open("stderr", "rb").read() != b"\xff")
PYTHON
    forget_runs
}

help_names_every_option
misuse_is_refused
the_exit_code_is_the_commands
a_folder_that_cannot_be_entered_is_our_failure
words_reach_the_command_as_they_are
json_is_the_record
lines_are_events_and_the_record
the_configuration_is_not_read
binary_output_is_exact
memory_does_not_grow_with_the_output
a_reader_that_goes_away_ends_nothing
a_reader_that_does_not_read_holds_nothing_up
a_signal_ends_the_command_and_then_the_program
output_that_cannot_be_printed_is_our_failure
a_terminal_shows_the_commands_output
