#!/bin/bash
# Promises about the whole program that its object files can prove.
. "$(dirname "$0")/common" "$@"

# Object files of the library that refer to one of the functions (an extended regular expression).
users_of() {
    nm -A --undefined-only "$BINARY_DIR/libcorch.a" 2>stderr | grep -E " U ($1)(@.*)?$" |
        sed 's/^[^:]*:\([^:]*\):.*/\1/' | sort -u | tr '\n' ' '
}

# expect_users FUNCTION OBJECTS
expect_users() {
    local users
    users=$(users_of "$1")
    [ "$users" = "$2" ] || fail "$1 is used by: ${users:-nobody}; expected: ${2:-nobody}"
}

command -v nm >/dev/null || skip "there is no nm"

# A manifest is replaced by the persister only; the others replace files of other names.
expect_users atomicfile_replace "batch.c.o epilogue.c.o journal.c.o metrics.c.o persister.c.o taskdir.c.o "
expect_users manifest_print "persister.c.o "
expect_users persister_write_closed "epilogue.c.o "

# The environment, the folder and the file mode mask of the process are its owner's.
expect_users "setenv|unsetenv|putenv|clearenv|chdir|fchdir|umask" ""

# Children share our memory until they execute something else, and only the command line may end the process.
expect_users "fork|vfork|system|popen|posix_spawn" ""
expect_users "clone|__clone" "proc.c.o reaper.c.o "
expect_users "exit|_exit|quick_exit" ""
