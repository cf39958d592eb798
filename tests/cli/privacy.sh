#!/bin/bash
# The privacy guard from end to end: what it matches in enforce mode gets out nowhere.
. "$(dirname "$0")/common" "$@"
misbehave=$2

# The secrets come from files, so that no command text holds them.
secret=hunter2hunter2Zebra
cat >secret <<EOF
password = $secret
EOF
cat >key <<'EOF'
before
-----BEGIN RSA PRIVATE KEY-----
MIIEowIBAAKCAQEA7bq3Q1cretM4teria1
qqqqwwwweeeerrrrtttt
-----END RSA PRIVATE KEY-----
after
EOF

expect_nowhere() {
    local found
    found=$(grep -rlF -- "$1" .runs out stdout stderr) && fail "$2 got out: $found"
    return 0
}

config "$(pipeline leaks \
    "$(command_stage bytes "$misbehave slow-bytes \\\"\$(cat secret)\\\"" '"allowFailure":true')" \
    "$(command_stage failing 'cat secret >&2; exit 3' '"allowFailure":true')" \
    "$(command_stage key 'cat key')" \
    "$(command_stage broken 'cat key secret >&2; exit 4')")"

enforced() {
    local folder
    CODEX_PRIVACY_GUARD_MODE=enforce run start leaks --format json
    expect_code 1 "the last command fails"
    folder=$(run_folder)
    expect_nowhere "$secret" "a password"
    expect_nowhere "cretM4teria1" "key material"
    expect_nowhere "qqqqwwww" "key material of a later line"
    expect_text "$folder/commands/01-bytes.ndjson" '[REDACTED]'
    expect_text "$folder/commands/03-key.ndjson" '[BLOCKED]'
    expect_text "$folder/commands/03-key.ndjson" 'after'
    expect_text "$folder/errors/04-broken.json" '[BLOCKED]'
    expect_value "$folder/manifest.json" 'd["privacy"]["mode"]' enforce
    expect_value "$folder/manifest.json" '[x["action"] for x in d["privacy"]["decisions"]]' \
        "['redact', 'redact', 'block', 'block']"
    expect_value "$folder/manifest.json" \
        '[d["privacy"]["totals"][k] for k in ("redacted_frames", "blocked_frames")]' '[2, 2]'
    forget_runs
}

shadowed() {
    local folder
    run start leaks
    expect_code 1 "the last command fails"
    folder=$(run_folder)
    expect_text "$folder/commands/02-failing.ndjson" "$secret"
    expect_text "$folder/commands/03-key.ndjson" 'cretM4teria1'
    expect_value "$folder/manifest.json" 'd["privacy"]["mode"]' shadow
    expect_value "$folder/manifest.json" \
        '{(x["action"], x["reason"]) for x in d["privacy"]["decisions"]}' "{('allow', 'shadow-mode')}"
    expect_value "$folder/manifest.json" \
        '[d["privacy"]["totals"][k] for k in ("redacted_frames", "blocked_frames")]' '[0, 0]'
    forget_runs
}

every_decision_is_logged() {
    local folder frames
    run start leaks
    folder=$(run_folder)
    frames=$(value "$folder/manifest.json" 'd["privacy"]["totals"]["total_frames"]')
    [ "$(wc -l <"$folder/privacy-decisions.ndjson")" -eq "$frames" ] ||
        fail "$frames frames, but another number of decisions"
    forget_runs
}

enforced
shadowed
every_decision_is_logged
