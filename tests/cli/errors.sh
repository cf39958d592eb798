#!/bin/bash
# What is refused before anything runs: exit code 2, a message that names the place, nothing created.
. "$(dirname "$0")/common" "$@"

# refused TEXT ARGUMENT…: `start` with these arguments.
refused() {
    local text=$1
    shift
    run start "$@"
    expect_code 2 "start $*"
    expect_empty stdout
    expect_text stderr "$text"
    expect_nothing_created "by start $*"
}

# bad_config JSON PLACE TEXT: PLACE is line:column; JSON is as for printf.
bad_config() {
    printf "$1" >codex.orchestrator.json
    refused "$PWD/codex.orchestrator.json:$2: $3" p
}

# bad_stage JSON COLUMN TEXT: a stage on the second line, told with its path.
bad_stage() {
    bad_config '{"pipelines":[{"id":"p","stages":[\n'"$1"']}]}' "2:$2" "pipelines[0].stages[0]$3"
}

documents_of_another_shape() {
    bad_config '{"pipelines":\n  [}' 2:4 'not valid JSON'
    bad_config '\n[1]\n' 2:1 'must be an object'
    bad_config '{"pipelines":\n{}}' 2:1 'pipelines: must be an array'
    bad_config '{"pipelines":[\n 7]}' 2:2 'pipelines[0]: must be an object'
    bad_config '{"stageSets":\n[]}' 2:1 'stageSets: must be an object of stage arrays'
    bad_config '{"defaultPipeline":\n3}' 2:1 'defaultPipeline: must be a string'
    bad_config '{"defaultPipeline":\n""}' 2:1 'defaultPipeline: must not be empty'
    bad_config '{"pipelines":[{"id":\n"p\\u0000q"}]}' 2:3 "a string can't hold"
    bad_config '{"pipelines":[{"id":\n"p\377"}]}' 2:3 'not UTF-8'
}

pipelines_that_cannot_be() {
    bad_config '{"pipelines":[{"id":\n""}]}' 2:1 'pipelines[0].id: must not be empty'
    bad_config '{"pipelines":[\n{"title":"T"}]}' 2:1 'pipelines[0]: id is missing'
    bad_config '{"pipelines":[\n{"id":"p"}]}' 2:1 'pipelines[0]: stages is missing'
    bad_config '{"pipelines":[{"id":"p",\n"stages":[]}]}' 2:10 \
        'pipelines[0].stages: must hold at least one stage'
    bad_config '{"pipelines":[{"id":"p",\n"guardrailsRequired":1}]}' 2:22 \
        'pipelines[0].guardrailsRequired: must be true or false'
    local stages='"stages":[{"kind":"command","id":"a","command":"true"}]'
    bad_config '{"pipelines":[{"id":"p",'"$stages"'},\n{"id":"p",'"$stages"'}]}' 2:7 \
        'pipelines[1].id: another pipeline has the id "p"'
}

stages_that_cannot_be() {
    bad_stage '7' 1 ': must be an object'
    bad_stage '{"id":"a"}' 1 ': kind is missing'
    bad_stage '{"kind":"task","id":"a"}' 9 \
        '.kind: must be "command", "subpipeline" or "stage-set"'
    bad_stage '{"kind":"command","id":"","command":"true"}' 24 '.id: must not be empty'
    bad_stage '{"kind":"command","id":"a"}' 1 ': command is missing'
    bad_stage '{"kind":"command","id":"a","command":7}' 38 '.command: must be a string'
    bad_stage '{"kind":"command","id":"a","command":"c","cwd":7}' 48 '.cwd: must be a string'
    bad_stage '{"kind":"command","id":"a","command":"c","allowFailure":"yes"}' 57 \
        '.allowFailure: must be true or false'
    bad_stage '{"kind":"command","id":"a","command":"c","env":{"":"x"}}' 52 \
        '.env.: the name of a variable must not be empty'
    bad_stage '{"kind":"command","id":"a","command":"c","env":{"A=B":"x"}}' 55 \
        ".env.A=B: the name of a variable must not hold '='"
    bad_stage '{"kind":"command","id":"a","command":"c","env":{"A":1}}' 53 '.env.A: must be a string'
    bad_stage '{"kind":"subpipeline","id":"a"}' 1 ': pipeline is missing'
}

stage_sets_that_cannot_be() {
    bad_stage '{"kind":"stage-set","ref":"x"}' 27 \
        '.ref: Pipeline "p" references unknown stage set "x"'
    bad_config '{"stageSets":{"s":[\n{"kind":"stage-set","ref":"s"}]}}' 2:1 \
        "stageSets.s[0]: a stage set can't include stage-set references"
}

pipelines_that_contain_themselves() {
    bad_config '{"pipelines":[\n{"id":"p","stages":[{"kind":"subpipeline","id":"a","pipeline":"p"}]}]}' \
        2:1 'pipelines[0]: subpipeline cycle: p -> p'
    bad_config '{"pipelines":[
{"id":"p","stages":[{"kind":"subpipeline","id":"a","pipeline":"q"}]},
{"id":"q","stages":[{"kind":"subpipeline","id":"a","pipeline":"p"}]}]}' \
        2:1 'pipelines[0]: subpipeline cycle: p -> q -> p'
}

unreadable_configuration() {
    rm -f codex.orchestrator.json
    mkdir codex.orchestrator.json
    refused "$PWD/codex.orchestrator.json: can't be read: Is a directory" p
    rmdir codex.orchestrator.json
}

unknown_pipelines() {
    config "$(pipeline p "$(command_stage a true)")"
    refused "Pipeline 'nope' not found." nope
    refused "Pipeline '' not found." ""
    printf '{"defaultPipeline":"gone"}' >codex.orchestrator.json
    refused "Pipeline 'gone' not found."
    rm codex.orchestrator.json
    refused "Pipeline 'p' not found." p
}

# bad_task ID TEXT
bad_task() {
    refused "--task: Invalid task ID \"$1\": $2" --task "$1" p
}

task_ids_that_are_no_folder_names() {
    config "$(pipeline p "$(command_stage a true)")"
    refused "--task: Invalid task ID: it is empty" --task "" p
    bad_task ../x "slashes are not allowed"
    bad_task 'a\b' "slashes are not allowed"
    bad_task .hidden "leading dots are not allowed"
    bad_task .. "leading dots are not allowed"
    bad_task 'end.' "trailing dots or spaces are not allowed"
    bad_task 'a:b' 'none of < > : " | ? * is allowed'
    bad_task nul "Windows reserved device names are not allowed"
    refused "control characters are not allowed" --task $'a\nb' p
    refused "it is longer than 200 bytes" --task "$(printf 'x%.0s' {1..201})" p
    MCP_RUNNER_TASK_ID=a/b refused 'MCP_RUNNER_TASK_ID: Invalid task ID "a/b"' p
}

folders_that_are_not_there() {
    CODEX_ORCHESTRATOR_ROOT=$PWD/gone refused "CODEX_ORCHESTRATOR_ROOT: $PWD/gone: No such file" p
    : >file
    CODEX_ORCHESTRATOR_ROOT=file refused "CODEX_ORCHESTRATOR_ROOT: $PWD/file: Not a directory" p
}

# A link where a folder of the task should be could lead out of the runs folder.
planted_links_are_not_followed() {
    config "$(pipeline p "$(command_stage a true)")"
    mkdir -p elsewhere .runs/0101
    ln -s ../../elsewhere .runs/0101/cli
    run start p
    expect_code 2 "a link at .runs/0101/cli"
    expect_empty stdout
    expect_text stderr ".runs/0101/cli: a link or a file is where a folder should be; remove it"
    rm -r .runs
    mkdir .runs
    ln -s ../elsewhere .runs/0101
    run start p
    expect_code 2 "a link at .runs/0101"
    expect_text stderr ".runs/0101: a link or a file is where a folder should be; remove it"
    [ -z "$(ls -A elsewhere)" ] || fail "a link was followed: $(ls -A elsewhere)"
    forget_runs
}

documents_of_another_shape
pipelines_that_cannot_be
stages_that_cannot_be
stage_sets_that_cannot_be
pipelines_that_contain_themselves
unreadable_configuration
unknown_pipelines
task_ids_that_are_no_folder_names
folders_that_are_not_there
planted_links_are_not_followed
