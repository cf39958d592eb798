"""Results as Markdown and as plots."""
import os
import statistics
from xml.sax.saxutils import escape

MIB = 1024 * 1024
PLOTS = [("wall", "Wall time", "s", "wall", 1), ("cpu", "Processor time of the program itself", "s", "own", 1),
         ("memory", "Peak memory of the program itself", "MiB", "peak_kib", 1 / 1024)]


def values(result, member):
    return [r[member] for r in result.get("rounds", []) if r.get(member) is not None]


def digits(value):
    """Three figures that mean something."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else \
        f"{value:.2f}" if value >= 1 else f"{value:.3f}" if value >= 0.1 else f"{value:.4f}"


def spread(numbers, scale=1.0, show=digits):
    """Median, and the range if there is one."""
    if not numbers:
        return "–"
    numbers = [n * scale for n in numbers]
    if len(numbers) == 1:
        return show(numbers[0])
    return f"{show(statistics.median(numbers))} ({show(min(numbers))} to {show(max(numbers))})"


def peak(result):
    return f"{result['peak_kib'] / 1024:.1f}" if result.get("peak_kib") else "–"


def megabytes(numbers):
    return f"{statistics.median(numbers) / MIB:.1f}" if numbers else "–"


def count(result, member):
    return "–" if result.get(member) is None else str(result[member])


def work_table(work, labels):
    lines = [f"### {work['title'][0].upper()}{work['title'][1:]}", ""]
    if work["about"]:
        lines += [work["about"][0].upper() + work["about"][1:] + ".", ""]
    lines += ["| program | wall, s | user + system, s | its own processor time, s | peak memory, MiB | written, MiB | kept, MiB | manifest replaced | fsyncs | rounds |",
              "|---|---|---|---|---|---|---|---|---|---|"]
    notes = []
    for result in work["results"]:
        label = labels[result["program"]]
        if not result.get("rounds"):
            notes += [f"{label}: {result['note']}"] if result.get("note") else []
            continue
        both = [u + s for u, s in zip(values(result, "user"), values(result, "system"))]
        if result.get("note"):
            notes.append(f"{label}: {result['note']}")
        lines.append(f"| {label} | {spread(values(result, 'wall'))} | {spread(both)} | {spread(values(result, 'own'))} "
                     f"| {peak(result)} | {megabytes(values(result, 'written'))} | {megabytes(values(result, 'left'))} "
                     f"| {count(result, 'manifests')} | {count(result, 'fsyncs')} | {len(result['rounds'])} |")
    if notes:
        lines += ["", "Not in the table, or with a remark: " + "; ".join(notes) + "."]
    return lines + [""]


def ratio_table(ratios):
    lines = ["| what | target | measured | rounds | |", "|---|---|---|---|---|"]
    for r in ratios:
        if not r["values"]:
            lines.append(f"| {r['title']} | {r['target']:g}{r['unit']} | not measured | 0 | |")
            continue
        met = "met" if statistics.median(r["values"]) <= r["target"] else "**missed**"
        lines.append(f"| {r['title']} | {r['target']:g}{r['unit']} | {spread(r['values'], show=lambda v: format(v, '.3g'))}{r['unit']} "
                     f"| {len(r['values'])} | {met} |")
    return lines + [""]


def flat_table(flat):
    lines = ["| output | peak memory, MiB |", "|---|---|"]
    lines += [f"| {entry['title']} | {entry['peak_kib'] / 1024:.2f} |" for entry in flat]
    return lines + [""]


def markdown(results, plots):
    """The document; `plots` is the way from it to the folder of the plots."""
    m, labels = results["machine"], {p["name"]: p["label"] for p in results["programs"]}
    lines = ["# Benchmarks against other programs", "",
             "This program beside what could be used instead, on the same work. Made by one command, which also",
             "renews this document:", "",
             f"    {results['command']}", "",
             f"Made on {results['date']} with version {results['version']} on a machine of {m['processors']} processors, "
             f"{m['memory_gib']} GiB of memory, {m['system']}, on {m['file_system']}, in {results['minutes']} minutes. "
             f"Load when it began: {m['load']}.", ""]
    if float(m["load"]) > m["processors"] / 2:
        lines += ["**The machine was busy with other things.** Wall times are too high, those of a few milliseconds and those "
                  "that wait for the disk most of all; processor times, memory and counts say more.", ""]
    if results["quick"]:
        lines += ["**Small sizes: this only shows that the suite works. The numbers mean nothing.**", ""]
    lines += ["A number with a range is the median, and the lowest and highest of all rounds. A ratio is the median of the "
              "rounds' ratios.", "", "## Ratios", ""]
    lines += ratio_table(results["ratios"])
    lines += ["## Memory does not grow", "",
              "Peak memory of `start` while its command prints `yes | head -c N`:", ""]
    lines += flat_table(results["flat"]) if results["flat"] else ["Not measured.", ""]
    if results["flat"] and not results["huge"]:
        lines += ["10 GB are only measured with `--huge`: the logs take more than 20 GB of disk.", ""]
    lines += ["## Plots", ""]
    for name, title, unit, _, _ in PLOTS:
        lines += [f"![{title}, {unit}]({plots}{name}.svg)", ""]
    lines += ["## Programs", "", "| program | what it leaves, and what it does not do |", "|---|---|"]
    for p in results["programs"]:
        missing = f" **Not measured: {p['missing']}.**" if p["missing"] else ""
        lines.append(f"| {p['label']} | {p['what']}.{missing} |")
    lines += ["", "## Works", ""]
    for work in results["works"]:
        lines += work_table(work, labels)
    return "\n".join(lines + METHOD)


METHOD = """## Method

* Programs take turns on a work, round by round, and begin one further on in each round. The first
  round (the first five, with one `true`) is not counted: it loads files into memory and finds each
  program's peak memory. One `true` has four times as many rounds as other works. The original is run
  once on works that take it tens of seconds, without an uncounted round.
* Before each run memory is touched and given back, five times as much as the work prints and 300 MB: a
  page that a virtual machine uses for the first time can cost more than what is done with it.
* Before each work, what has been written so far is synced. Each run has an empty folder of its own,
  removed afterwards (at the end of the suite where there are thousands of files: ext4 is slow to create
  files after many deletions).
* Wall time is from before the first process is started to the end of the last one.
* User + system is of all processes: what the kernel says of those that are waited for and of theirs.
  "Its own" is the processor-time clock of the program's process, all threads, without the commands it
  runs: `clock_gettime` with the clock of that process, read when it has ended and before it is waited
  for. Shells that a program starts for its commands (GNU parallel, xargs, ninja) are not in it. The
  original's command starts a second process, the real program: its clock and its memory are added, as
  they were when last looked at, at most 5 ms before its end.
* Peak memory is `VmHWM` of the program's process in `/proc/<pid>/status`, looked at while it runs, from
  every 0.1 ms in the beginning to every 20 ms; commands are other processes. "–": it had ended before.
* "Written" are bytes of files' pages made dirty (`write_bytes` in `/proc/<pid>/io`), by the program and
  what it has waited for; "kept" is the size of all files that are there afterwards.
* Replacements of the run's `manifest.json`, and calls of `fsync` and `fdatasync`, are counted in one
  more run under `strace`, in the works where that says something. What runs in the commands
  would be counted, too, but they do neither.
* A run is stopped after two minutes, and the table says so. With the time for the whole suite running
  out there are fewer rounds.
""".split("\n")


# Plots: a panel for each work, a bar for each program, a line from the lowest to the highest round.

COLOURS = {"start": "#1b6ca8", "exec": "#4a9bd4", "original": "#c0392b", "original-exec": "#dd7a6f"}
WIDTH, BAR, LEFT, RIGHT, HEAD = 470, 18, 165, 85, 34


def panel(x, y, work, labels, member, scale):
    """Elements, and the height they take."""
    rows = []
    for result in work["results"]:
        numbers = [result["peak_kib"]] if member == "peak_kib" and result.get("peak_kib") else values(result, member)
        if numbers:
            numbers = [n * scale for n in numbers]
            rows.append((result["program"], statistics.median(numbers), min(numbers), max(numbers)))
    if not rows:
        return [], 0
    most, room = max(row[3] for row in rows) or 1, WIDTH - LEFT - RIGHT
    out = [f'<text x="{x + 8}" y="{y + 20}" font-weight="bold">{escape(work["title"].replace("`", ""))}</text>']
    for at, (name, middle, low, high) in enumerate(rows):
        top = y + HEAD + at * BAR
        a, b, c = (room * v / most for v in (middle, low, high))
        label = labels[name].replace("`", "")
        out += [f'<text x="{x + LEFT - 6}" y="{top + 11}" text-anchor="end">{escape(label)}</text>',
                f'<rect x="{x + LEFT}" y="{top + 1}" width="{max(a, 1):.1f}" height="{BAR - 6}" fill="{COLOURS.get(name, "#8a8f94")}"/>',
                f'<path d="M{x + LEFT + b:.1f} {top + 7}H{x + LEFT + c:.1f}" stroke="#222"/>',
                f'<text x="{x + LEFT + max(a, c) + 5:.1f}" y="{top + 11}">{digits(middle)}</text>']
    return out, HEAD + len(rows) * BAR + 12


def plot(results, title, unit, member, scale):
    labels = {p["name"]: p["label"] for p in results["programs"]}
    body, bottoms = [], [40, 40]
    for work in results["works"]:
        column = 0 if bottoms[0] <= bottoms[1] else 1
        elements, height = panel(column * WIDTH, bottoms[column], work, labels, member, scale)
        body += elements
        bottoms[column] += height
    height = max(bottoms) + 10
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * WIDTH}" height="{height}" viewBox="0 0 {2 * WIDTH} {height}"'
        ' font-family="sans-serif" font-size="11" fill="#222">',
        f'<rect width="{2 * WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="8" y="24" font-size="15">{escape(title)}, {escape(unit)}: median, lowest to highest</text>']
        + body + ["</svg>", ""])


def write_all(results, document, plots):
    """The document, and the plots into a folder."""
    os.makedirs(plots, exist_ok=True)
    os.makedirs(os.path.dirname(os.path.abspath(document)), exist_ok=True)
    for name, title, unit, member, scale in PLOTS:
        with open(os.path.join(plots, name + ".svg"), "w") as file:
            file.write(plot(results, title, unit, member, scale))
    way = os.path.relpath(plots, os.path.dirname(os.path.abspath(document)))
    with open(document, "w") as file:
        file.write(markdown(results, "" if way == "." else way + "/"))
