#!/bin/bash
# plan: what a start would do, for people and for programs, and nothing created.
. "$(dirname "$0")/common" "$@"

two_stages() {
    config "$(pipeline p "$(command_stage one 'echo 1')" \
        "$(command_stage two 'echo 2' '"plan":{"aliases":["second"]}')")"
}

# planned ARGUMENT…: a plan without complaint.
planned() {
    run plan "$@"
    expect_code 0 "plan $*"
    expect_empty stderr
    expect_nothing_created "by plan $*"
}

# refused TEXT ARGUMENT…
refused() {
    local text=$1
    shift
    run plan "$@"
    expect_code 2 "plan $*"
    expect_empty stdout
    expect_text stderr "$text"
    expect_nothing_created "by plan $*"
}

text_describes_every_stage() {
    config "$(pipeline p "$(command_stage one 'echo 1' '"title":"First","cwd":"sub",
        "env":{"A":"1","B":"2=3"},"allowFailure":true,"summaryHint":"h"')" \
        '{"kind":"subpipeline","id":"s","pipeline":"q","optional":true}')"
    planned p
    diff stdout - <<'END' || fail "the text differs"
Pipeline: p — p [user]
Stages:
  1. [command] First (one)
     command: echo 1
     cwd: sub
     env: A=1, B=2=3
     allowFailure: true
     summaryHint: h
  2. [subpipeline] s (s)
     pipeline: q
     optional: true
END
    planned p --format json
    expect_value stdout 'd["stages"][0]["env"]' "{'A': '1', 'B': '2=3'}"
    expect_value stdout 'd["stages"][1]' \
        "{'index': 2, 'id': 's', 'title': 's', 'kind': 'subpipeline', 'pipeline': 'q', 'optional': True}"
}

# connected: a pipeline in which stages need each other, with everything that bears on when they run.
connected() {
    echo '{"pools":{"db":1},"pipelines":[{"id":"p","jobs":4,"description":"why","stages":[
        {"kind":"command","id":"test","command":"t","needs":["build","lint"],"pool":"db",
         "timeoutSeconds":5.25,"retries":2,"retryDelayMs":100},
        {"kind":"command","id":"build","command":"b"},
        {"kind":"command","id":"lint","command":"l","needs":["build"]},
        {"kind":"subpipeline","id":"docs","pipeline":"q","needs":["build"]}]}]}' >codex.orchestrator.json
}

text_shows_needs_limits_and_levels() {
    connected
    planned p
    diff stdout - <<'END' || fail "the text differs"
Pipeline: p — p [user]
Description: why
Stages:
  1. [command] test (test)
     command: t
     needs: build, lint
     pool: db
     timeoutSeconds: 5.25
     retries: 2
     retryDelayMs: 100
  2. [command] build (build)
     command: b
  3. [command] lint (lint)
     command: l
     needs: build
  4. [subpipeline] docs (docs)
     pipeline: q
     needs: build
Levels (4 jobs):
  1. build
  2. lint, docs
  3. test
Notes: why
END
}

json_shows_needs_limits_and_levels() {
    connected
    planned p --format json
    expect_value stdout 'd["pipeline"]["jobs"]' 4
    expect_value stdout '[s["level"] for s in d["stages"]]' '[3, 1, 2, 2]'
    expect_value stdout 'list(d["stages"][0].items())[9:]' "[('needs', ['build', 'lint']), \
('pool', 'db'), ('timeoutSeconds', 5.25), ('retries', 2), ('retryDelayMs', 100), ('level', 3)]"
    expect_value stdout 'list(d["stages"][1])[9:]' "['level']"
    expect_value stdout 'list(d["stages"][3])[6:]' "['needs', 'level']"
}

only_what_the_file_says_is_shown() {
    two_stages
    planned p
    ! grep -qE 'Levels|needs|retries' stdout || fail "a plan without a graph has levels"
    planned p --format json
    expect_value stdout '[k for k in d["stages"][0]][9:]' '[]'
    expect_value stdout '"jobs" in d["pipeline"]' False
    config "$(pipeline p "$(command_stage a true '"needs":[],"retries":0,"retryDelayMs":1000')")"
    planned p --format json
    expect_value stdout 'list(d["stages"][0].items())[9:]' \
        "[('needs', []), ('retries', 0), ('retryDelayMs', 1000)]"
}

# levels_line JOBS-MEMBER LINE
levels_line() {
    config "{\"id\":\"p\",$1\"stages\":[$(command_stage a true),$(command_stage b true '"needs":["a"]')]}"
    planned p
    grep -qxF "$2" stdout || fail "no line: $2"
}

levels_say_how_many_jobs_there_are() {
    local one='1 job: one stage after the other, in the order above as far as needs allow' cores
    cores=$(nproc)
    levels_line '' "Levels ($one):"
    levels_line '"jobs":1,' "Levels ($one):"
    levels_line '"jobs":2,' 'Levels (2 jobs):'
    [ "$cores" -eq 1 ] || levels_line '"jobs":0,' "Levels ($cores jobs, as many as processors):"
    config "{\"id\":\"p\",\"jobs\":2,\"stages\":[$(command_stage a true),$(command_stage b true)]}"
    planned p
    expect_text stdout '  1. a, b'
}

ids_in_levels_are_safe_for_a_terminal() {
    config "{\"id\":\"p\",\"stages\":[$(command_stage 'a\u001b[31m' true),
        $(command_stage b true '"needs":["a\u001b[31m"]')]}"
    planned p
    expect_text stdout '     needs: a\x1b[31m'
    expect_text stdout '  1. a\x1b[31m'
    ! grep -q $'\033' stdout || fail "an escape character was printed"
}

# Takes some hundredths of a second; the limit is for slow machines and builds.
ten_thousand_stages_in_a_row_are_planned() {
    "$python" -c 'import json
stages = [{"kind": "command", "id": "s%d" % i, "command": "true", "needs": ["s%d" % (i + 1)]}
          for i in range(9999)] + [{"kind": "command", "id": "s9999", "command": "true"}]
print(json.dumps({"pipelines": [{"id": "p", "jobs": 2, "stages": stages}]}))' >codex.orchestrator.json
    code=0
    timeout 10 "$program" plan p >stdout 2>stderr || code=$?
    expect_code 0 "a plan of 10,000 stages"
    [ "$(grep -A 2 -F 'Levels' stdout | tail -1)" = '  2. s9998' ] || fail "the second level is another"
    [ "$(tail -1 stdout)" = '  10000. s0' ] || fail "the last level is another"
}

without_configuration_there_is_diagnostics() {
    rm -f codex.orchestrator.json
    planned
    grep -qE '^Pipeline: diagnostics — .* \[default\]$' stdout || fail "not the built-in pipeline"
    planned --format=json
    expect_value stdout 'd["pipeline"]["source"]' default
    refused "Pipeline 'p' not found." p
}

target_is_the_flag_else_the_variable() {
    two_stages
    planned p --format json
    expect_value stdout 'd["targetId"]' p:one
    planned p --format json --target second
    expect_value stdout 'd["targetId"]' p:two
    CODEX_ORCHESTRATOR_TARGET_STAGE=two planned p --format json
    expect_value stdout 'd["targetId"]' p:two
    CODEX_ORCHESTRATOR_TARGET_STAGE=two planned p --format json --target-stage p:one
    expect_value stdout 'd["targetId"]' p:one
}

unknown_target_is_warned_of() {
    two_stages
    run plan p --target nope --format json
    expect_code 0 "an unknown target"
    expect_text stderr \
        "no stage of pipeline 'p' answers to the target asked for; the target is p:one"
    expect_value stdout 'd["targetId"]' p:one
}

what_is_wrong_is_refused() {
    two_stages
    refused "Pipeline 'x' not found." x
    refused "--task: Invalid task ID" --task ../x p
    refused "Unknown plan option: --tsak; did you mean --task?" --tsak x
    refused "plan: --format must be json or text, not 'yaml'" --format yaml
    refused "plan: unexpected argument 'q'" p q
    echo '{"pipelines":7}' >codex.orchestrator.json
    refused "codex.orchestrator.json:1:14: pipelines: must be an array" p
}

options_of_the_original_are_accepted() {
    two_stages
    planned p --no-interactive
    planned p --interactive
    planned p --ui --task 0042-demo
}

warnings_do_not_disturb_the_result() {
    config '{"id":"p","colour":"red","stages":[{"kind":"command","id":"a","command":"true"}]}'
    run plan p --format json
    expect_code 0 "a warning"
    expect_text stderr "warning: "
    expect_text stderr "colour"
    expect_value stdout 'd["targetId"]' p:a
}

text_is_safe_for_a_terminal() {
    config "$(pipeline p "$(command_stage a 'echo \u001b[31mred\u009b' '"title":"\u001b]0;title\u0007"')")"
    planned p
    expect_text stdout 'command: echo \x1b[31mred\x9b'
    expect_text stdout '[command] \x1b]0;title\x07 (a)'
    ! grep -q $'\033' stdout || fail "an escape character was printed"
}

help_names_every_option() {
    local option
    planned --help
    for option in --task --target --target-stage --format --no-interactive --interactive --ui --help; do
        expect_text stdout "$option"
    done
}

a_full_device_is_an_error() {
    two_stages
    code=0
    "$program" plan p >/dev/full 2>stderr || code=$?
    expect_code 2 "a plan to a full device"
    expect_text stderr "can't write to stdout: No space left on device"
}

text_describes_every_stage
text_shows_needs_limits_and_levels
json_shows_needs_limits_and_levels
only_what_the_file_says_is_shown
levels_say_how_many_jobs_there_are
ids_in_levels_are_safe_for_a_terminal
ten_thousand_stages_in_a_row_are_planned
without_configuration_there_is_diagnostics
target_is_the_flag_else_the_variable
unknown_target_is_warned_of
what_is_wrong_is_refused
options_of_the_original_are_accepted
warnings_do_not_disturb_the_result
text_is_safe_for_a_terminal
help_names_every_option
a_full_device_is_an_error
