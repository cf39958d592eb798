#!/bin/bash
# docs/promises.md names tests: each must be there.
. "$(dirname "$0")/common" "$@"

document=$SOURCE_DIR/docs/promises.md
names=$(grep -o 'test_[a-z_]*__[a-z0-9_]*' "$document" | sort -u)
scripts=$(grep -o 'tests/cli/[a-z-]*\.sh' "$document" | sort -u)
[ "$(wc -w <<<"$names")" -ge 20 ] || fail "the document names hardly any test"
for name in $names; do
    # once where it is defined, once where it is run
    [ "$(cat "$SOURCE_DIR"/tests/*.c | grep -ow "$name" | wc -l)" -ge 2 ] ||
        fail "no test program runs $name"
done
for script in $scripts; do
    [ -x "$SOURCE_DIR/$script" ] || fail "$script is missing"
done
