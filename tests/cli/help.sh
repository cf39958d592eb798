#!/bin/bash
# Help, version, and what is no command or option.
. "$(dirname "$0")/common" "$@"

help_names_every_command() {
    local word
    for word in help --help -h; do
        run "$word"
        expect_code 0 "$word"
        expect_text stdout "Usage: codex-orchestrator <command>"
        expect_text stdout "  start "
        expect_empty stderr
    done
}

help_of_start_names_every_option() {
    local word option
    for word in --help -h; do
        run start "$word"
        expect_code 0 "start $word"
        for option in --task --target --target-stage --parent-run --approval-policy --format \
            --output --no-interactive --help; do
            expect_text stdout "  $option "
        done
        expect_empty stderr
    done
    expect_nothing_created "by start --help"
}

version_is_one_line() {
    local word
    for word in --version version; do
        run "$word"
        expect_code 0 "$word"
        grep -qxE '[0-9]+\.[0-9]+\.[0-9]+' stdout || fail "$word prints no version"
        [ "$(wc -l <stdout)" -eq 1 ] || fail "$word prints more than a line"
    done
}

no_command_is_a_mistake() {
    run
    expect_code 2 "no command"
    expect_text stdout "Usage: codex-orchestrator <command>"
}

unknown_commands_are_refused() {
    run strat
    expect_code 2 "strat"
    expect_empty stdout
    expect_text stderr "Unknown command: strat; did you mean start?"
    run frobnicate
    expect_code 2 "frobnicate"
    expect_text stderr "Unknown command: frobnicate. See: codex-orchestrator help"
}

# refused_option TEXT ARGUMENT…
refused_option() {
    local text=$1
    shift
    run start "$@"
    expect_code 2 "$*"
    expect_empty stdout
    expect_text stderr "$text"
    expect_nothing_created "by $*"
}

wrong_options_are_refused() {
    config "$(pipeline p "$(command_stage a true)")"
    refused_option "Unknown start option: --tsak; did you mean --task?" --tsak x p
    refused_option "Unknown start option: --formta; did you mean --format?" --formta=json p
    refused_option "Unknown start option: --xyzzy. See: codex-orchestrator help" p --xyzzy
    refused_option "start: option --task needs a value" p --task
    refused_option "start: option --no-interactive takes no value" --no-interactive=yes p
    refused_option "start: --format must be json or text, not 'xml'" --format xml p
    refused_option "start: --format must be json or text, not ''" --format= p
    refused_option "start: unexpected argument 'q'" p q
}

output_that_cannot_be_printed_is_an_error() {
    code=0
    "$program" --help >/dev/full 2>stderr || code=$?
    expect_code 2 "help to a full device"
    expect_text stderr "can't write to stdout: No space left on device"
    code=0
    "$program" --version >&- 2>stderr || code=$?
    expect_code 2 "version to a closed stdout"
    expect_text stderr "can't write to stdout: Bad file descriptor"
}

help_names_every_command
help_of_start_names_every_option
version_is_one_line
no_command_is_a_mistake
unknown_commands_are_refused
wrong_options_are_refused
output_that_cannot_be_printed_is_an_error
