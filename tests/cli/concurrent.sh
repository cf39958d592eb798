#!/bin/bash
# Several orchestrators on one task at the same time: no entry is lost, the aggregates agree.
. "$(dirname "$0")/common" "$@"

orchestrators=20
config "$(pipeline p "$(command_stage a 'echo a')")"
pids=()
for ((i = 0; i < orchestrators; i++)); do
    "$program" start p >"stdout.$i" 2>"stderr.$i" &
    pids+=($!)
done
for pid in "${pids[@]}"; do
    wait "$pid" || fail "an orchestrator failed: $(cat stderr.*)"
done

# What was queued because the lock was held is merged by the next run.
run start p
expect_code 0 "one more"
total=$((orchestrators + 1))
[ "$(find .runs/0101/metrics.pending -name '*.jsonl' 2>/dev/null | wc -l)" -eq 0 ] || fail "entries are left in the queue"
[ "$(wc -l <.runs/0101/metrics.json)" -eq "$total" ] || fail "not $total metrics entries"
distinct=$(python3 -c 'import json; print(len({json.loads(l)["run_id"] for l in open(".runs/0101/metrics.json")}))')
[ "$distinct" -eq "$total" ] || fail "$distinct runs in the metrics, not $total"
expect_value .runs/0101/metrics/post-rollout.json 'd["total_runs"], d["succeeded_runs"]' "($total, $total)"
expect_value out/0101/runs.json 'len({r["runId"] for r in d["runs"]})' "$total"
[ -z "$(find .runs out -name '*.lock' -o -name '*.tmp')" ] || fail "locks or temporaries are left"
