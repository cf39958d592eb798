"""The work that is given to all: shell commands, how many of them, and what they print."""
import os
import random

MB = 1000 * 1000

# Blocks of characters of several scripts, and how often each is drawn from.
SCRIPTS = [(range(0x61, 0x7b), 30), (range(0x20, 0x21), 12), (range(0xdf, 0x100), 12),
           (range(0x430, 0x450), 20), (range(0x3b1, 0x3ca), 8), (range(0x5d0, 0x5eb), 6),
           (range(0x4e00, 0x5200), 14), (range(0x3041, 0x3097), 8), (range(0x1f300, 0x1f340), 2)]


class Work:
    """`command` is run `count` times, on `jobs` jobs; together they print `size` bytes."""

    def __init__(self, name, title, command, size, count=1, jobs=1, about=""):
        self.name, self.title, self.command, self.size = name, title, command, size
        self.count, self.jobs, self.about = count, jobs, about


def fill(path, size, block):
    """A file of `size` bytes, made of a block over and over."""
    with open(path, "wb") as file:
        left = size
        while left > 0:
            file.write(block[:left])
            left -= min(left, len(block))


def utf8_block(seed, size):
    """Lines of words in mixed scripts; whole characters, exactly `size` bytes."""
    draw = random.Random(seed)
    ranges, weights = zip(*SCRIPTS)
    text, length = [], 0
    while length < size - 1024:
        line = "".join(chr(draw.choice(r)) for r in draw.choices(ranges, weights, k=draw.randrange(20, 120)))
        text.append(line + "\n")
        length += len(text[-1].encode())
    return "".join(text).encode() + b"." * (size - length - 1) + b"\n"


def text_size(count):
    """Bytes that `seq 1 COUNT` prints."""
    return sum(len(str(n)) * (min(count, 10 ** len(str(n)) - 1) - n + 1) for n in
               (10 ** e for e in range(len(str(count))))) + count


def make(folder, helper, quick, only, cpus):
    """The works, whose files are made in `folder`."""
    share = 100 if quick else 1
    many, seq, file_size = 1000000 // share, 20000000 // share, 300 * MB // share
    yes, long_line = 2 ** 30 // share, 100 * MB // share
    chatty, each = (8, 500) if quick else (50, 20000)
    trues = 20 if quick else 1000
    text, noise, line = (os.path.join(folder, name) for name in ("text", "random", "line"))
    works = [
        Work("true", "one `true`", "true", 0),
        Work("lines", f"{many:,} lines", f"{helper} lines {many}", many * 80,
             about="of 80 bytes, one write each"),
        Work("seq", f"`seq 1 {seq}`", f"seq 1 {seq}", text_size(seq)),
        Work("utf8", f"{file_size // MB} MB of UTF-8", f"cat {text}", file_size,
             about="text of mixed scripts: Latin, Cyrillic, Greek, Hebrew, Chinese, Japanese, pictures; `cat` of a file"),
        Work("random", f"{file_size // MB} MB at random", f"cat {noise}", file_size,
             about="bytes that are not UTF-8; `cat` of a file"),
        Work("yes", "`yes | head -c 1G`" + (f" / {share}" if quick else ""), f"yes | head -c {yes}", yes),
        Work("longline", f"a line of {long_line // MB} MB", f"cat {line}", long_line, about="`cat` of a file"),
        Work("chatty", f"{chatty} chatty commands", f"{helper} lines {each}", chatty * each * 80, chatty, 8,
             about=f"{each:,} lines of 80 bytes each, on 8 jobs"),
        Work("thousand", f"{trues:,} × `true`", "true", 0, trues, cpus,
             about="on as many jobs as there are processors"),
    ]
    if only:
        unknown = set(only) - {work.name for work in works}
        if unknown:
            raise SystemExit(f"compare: no such work: {', '.join(sorted(unknown))}; there are: "
                             + ", ".join(work.name for work in works))
        works = [work for work in works if work.name in only]
    names = {work.name for work in works}
    if "utf8" in names:
        fill(text, file_size, utf8_block(1, min(10 * MB, file_size)))
    if "random" in names:
        fill(noise, file_size, random.Random(2).randbytes(min(100 * MB, file_size)))
    if "longline" in names:
        fill(line, long_line - 1, bytes(random.Random(3).choices(range(0x20, 0x7f), k=min(MB, long_line))))
        with open(line, "ab") as file:
            file.write(b"\n")
    return works
