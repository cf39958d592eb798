#!/bin/bash
# Why something did not succeed is said in the words of src/reasons.h, each of which docs/formats.md explains.
. "$(dirname "$0")/common" "$@"
cd "$SOURCE_DIR" || fail "no $SOURCE_DIR"

# The words in the header, as "NAME value".
words() {
    sed -n 's/^#define \(\(REASON\|ERROR\)_[A-Z_]*\) "\(.*\)"$/\1 \3/p' src/reasons.h
}

[ "$(words | wc -l)" -ge 12 ] || fail "the header can't be read"
words | while read -r name value; do
    grep -q "\b$name\b" src/*.c || fail "$name is used nowhere"
    grep -qF "$value" docs/formats.md || fail "docs/formats.md does not explain $value"
    ! grep -nF "\"$value\"" src/*.c || fail "$value is spelled out instead of $name"
done || exit 1

# What is assigned to a detail comes from there, from another detail, or is nothing.
for file in src/*.c; do
    stray=$(tr '\n' ' ' <"$file" | grep -oE 'status_detail = [^;]*;' |
        grep -vE 'REASON_[A-Z_]+|= (got\.manifest|m|r|doc)?(->)?status_detail|NULL;')
    [ -z "$stray" ] || fail "$file: $stray"
done
! grep -nE 'json_str\(doc, "reason", ' src/*.c | grep -v ERROR_ || fail "a reason from elsewhere"
