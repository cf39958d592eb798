#!/bin/bash
# What is installed is complete: a program of somebody else's can be built with it and runs.
. "$(dirname "$0")/common" "$@"

compiler=$(sed -n 's/^CMAKE_C_COMPILER:[A-Z]*=//p' "$BINARY_DIR/CMakeCache.txt")
prefix=$PWD/prefix
export PKG_CONFIG_PATH
export ASAN_OPTIONS=detect_leaks=1

install_it() {
    cmake --install "$BINARY_DIR" --prefix "$prefix" >stdout 2>stderr || fail "cmake --install"
    PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name corch.pc)")
    code=0
    "$prefix/bin/codex-orchestrator" --version >stdout 2>stderr || code=$?
    expect_code 0 "the installed program"
}

write_program() {
    cat >user.c <<'END'
#include <corch.h>
#include <stdio.h>

int main(void)
{
    corch_error e;
    corch_config *config = corch_config_load(NULL, NULL, &e);
    corch_options options = {.pipeline = "p"};
    corch_run *run = config ? corch_run_start(config, &options, &e) : NULL;
    if (!run) {
        fprintf(stderr, "%s\n", e.text);
        corch_config_free(config);
        return 2;
    }
    const corch_result *result = corch_run_wait(run);
    printf("%s\n", result->status_name);
    int code = result->status == CORCH_SUCCEEDED ? 0 : 1;
    corch_run_free(run);
    corch_config_free(config);
    return code;
}
END
}

build_and_run() {
    local flags
    flags=$(pkg-config --static --cflags --libs corch) || fail "pkg-config does not know corch"
    # shellcheck disable=SC2086
    "$compiler" ${sanitizer:+-fsanitize=$sanitizer} -std=c11 -Wall -Wextra -Werror user.c -o user $flags \
        >stdout 2>stderr || fail "a program can't be built with: $flags"
    config "$(pipeline p "$(command_stage a "echo hello")")"
    code=0
    ./user >stdout 2>stderr || code=$?
    expect_code 0 "a program of somebody else's"
    expect_text stdout succeeded
    expect_text "$(run_folder)/runner.ndjson" '"data":"hello\n"'
}

command -v pkg-config >/dev/null || skip "there is no pkg-config"
install_it
write_program
build_and_run
mv prefix moved # the installed tree does not depend on where it was put
prefix=$PWD/moved
PKG_CONFIG_PATH=${PKG_CONFIG_PATH/prefix/moved}
forget_runs
build_and_run
