#!/bin/bash
# bench/compare/run: with small sizes it measures, and leaves well-formed JSON, Markdown and plots.
. "$(dirname "$0")/common" "$@"
export ASAN_OPTIONS=detect_leaks=0 # LeakSanitizer can't work while strace holds the process

compare() {
    timeout 280 "$python" "$SOURCE_DIR/bench/compare/run" "$@" >stdout 2>stderr || fail "compare $*"
}

command -v python3 >/dev/null || skip "there is no python3"
mkdir tmp
TMPDIR=$PWD/tmp compare --quick --minutes 4 --only lines,utf8,chatty,flat --out out --offline \
    --program "$program" --helper "$2" --original "$PWD/none"
[ -z "$(ls tmp)" ] || fail "it leaves temporary files: $(ls tmp)"

rows='{(w["name"], r["program"]): r for w in d["works"] for r in w["results"]}'
expect_value out/results.json '[w["name"] for w in d["works"]]' "['lines', 'utf8', 'chatty']"
measured="('lines', 'start'), ('lines', 'exec'), ('lines', 'tee'), ('utf8', 'cat'), ('chatty', 'start')"
expect_value out/results.json "[len($rows[k]['rounds']) for k in ($measured)]" "[1, 1, 1, 1, 1]"
expect_value out/results.json "[$rows['lines', 'start']['rounds'][0][m] > 0 for m in ('wall', 'own', 'left')]" \
    "[True, True, True]"
expect_value out/results.json "$rows['lines', 'start']['peak_kib'] > 0" True
expect_value out/results.json "'note' in $rows['lines', 'original'], 'note' in $rows['chatty', 'tee']" "(True, True)"
expect_value out/results.json 'len(d["flat"]), all(f["peak_kib"] > 0 for f in d["flat"])' "(2, True)"
expect_value out/results.json '[len(r["values"]) for r in d["ratios"] if r["title"].endswith("`tee`, wall")]' "[1, 1]"

for text in "# Benchmarks against other programs" "| 1M lines ÷ \`tee\`, wall | 0.75 |" "![Wall time, s](wall.svg)" "## Method"; do
    expect_text out/results.md "$text"
done
! grep -q "$PWD" out/results.md out/results.json || fail "the results name folders of this machine"
"$python" - <<'END' || fail "what was written is not well-formed"
import xml.etree.ElementTree as tree
for name in ("wall", "cpu", "memory"):
    root = tree.parse(f"out/{name}.svg").getroot()
    assert root.tag.endswith("svg") and len(root) > 10, name
columns = 0
for line in open("out/results.md"):
    cells = line.replace("\\|", "").count("|") if line.startswith("|") else 0
    assert not columns or not cells or cells == columns, line
    columns = cells
END

# From the same results, without measuring again.
compare --from out/results.json --doc doc/again.md
[ -s doc/again/wall.svg ] || fail "no plots beside the document"
expect_text doc/again.md "](again/wall.svg)"
cmp -s doc/again/wall.svg out/wall.svg || fail "the plot is another one"

# Interrupted, it leaves neither files nor processes.
TMPDIR=$PWD/tmp "$python" "$SOURCE_DIR/bench/compare/run" --quick --only lines --rounds 1000 --out out --offline \
    --program "$program" --helper "$2" --original "$PWD/none" >stdout 2>stderr &
until grep -q '^compare: lines' stderr; do
    kill -0 $! 2>/dev/null || fail "it has ended before it began"
    sleep 0.1
done
kill -TERM $!
wait $! && fail "it was interrupted and ends with 0"
expect_text stderr "compare: ended by a signal"
[ -z "$(ls tmp)" ] || fail "interrupted, it leaves temporary files: $(ls tmp)"
