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
without_configuration_there_is_diagnostics
target_is_the_flag_else_the_variable
unknown_target_is_warned_of
what_is_wrong_is_refused
options_of_the_original_are_accepted
warnings_do_not_disturb_the_result
text_is_safe_for_a_terminal
help_names_every_option
a_full_device_is_an_error
