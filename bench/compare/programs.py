"""What is compared: how each program is asked to do a work, and what it does not do."""
import json
import os
import shutil
import subprocess

from measure import Chain

LARGE = 100 * 1000 * 1000 # bytes of output that take the original a minute


class Program:
    """`chain(work, folder)` is how it does a work in an empty folder; `refusal(work)` says why it
    can't, or None; "" if it is just not asked to."""
    label = what = ""
    keeps_manifest = False

    def __init__(self, paths):
        self.paths = paths

    def missing(self):
        """Why it can't be run on this machine, or None."""
        return None

    def refusal(self, work):
        return None

    def is_slow(self, work):
        """It is run once, without an uncounted round."""
        return False

    def chain(self, work, folder):
        raise NotImplementedError


def one_stream_only(work):
    return "one stream only" if work.count > 1 else None


def in_folder(folder, name):
    return os.path.join(folder, name)


def configure(work, folder, more=()):
    commands = [work.command] * work.count + list(more)
    stages = [{"kind": "command", "id": f"c{i}", "title": f"c{i}", "command": command}
              for i, command in enumerate(commands, 1)]
    with open(in_folder(folder, "codex.orchestrator.json"), "w") as file:
        json.dump({"pipelines": [{"id": "p", "title": "P", "guardrailsRequired": False, "stages": stages}]}, file)


class Start(Program):
    keeps_manifest = True
    name, label = "start", "this program, `start`"
    what = ("a log of the run and one of each command as JSON lines (of a single command they are one file with "
            "two names), manifest, summary, metrics; privacy guard in shadow mode")
    more = ()

    def chain(self, work, folder):
        configure(work, folder, self.more)
        return Chain([[self.paths["program"], "start", "p", "--format", "json", "--jobs", str(work.jobs)]],
                     folder, in_folder(folder, "stdout"))


class StartTwo(Start):
    name, label = "start-two", "this program, `start`, two stages"
    what = "the same with a stage more, `true`: the log of the run and that of the command are two files"
    more = ("true",)

    def refusal(self, work):
        return None if work.count == 1 and work.size > 0 else ""


class Exec(Program):
    keeps_manifest = True
    name, label = "exec", "this program, `exec`"
    what = ("the same, and all output once more as JSON events in the record and on stdout "
            "(`--json=compact`). Measured with `true`, lines and the long line")

    def refusal(self, work):
        return None if work.name in ("true", "lines", "longline") else ""

    def chain(self, work, folder):
        return Chain([[self.paths["program"], "exec", "--json=compact", "--", "/bin/sh", "-c", work.command]],
                     folder, in_folder(folder, "stdout"))


class Original(Program):
    keeps_manifest = True
    name, label = "original", "the original 0.2.1, `start`"
    what = ("three logs as JSON lines, manifest, summary, metrics; one command at a time; nothing is synced, "
            "and what is not UTF-8 is replaced")
    words = ["start", "p", "--format", "json"]

    def missing(self):
        return self.paths["no_original"]

    def is_slow(self, work):
        return work.size >= LARGE or work.name in ("chatty", "thousand")

    def chain(self, work, folder):
        configure(work, folder)
        os.mkdir(in_folder(folder, "home"))
        return Chain([[self.paths["original"]] + self.words], folder, in_folder(folder, "stdout"),
                     {"HOME": in_folder(folder, "home")}, launches=True)


class OriginalExec(Original):
    name, label = "original-exec", "the original 0.2.1, `exec`"
    what = "the same without the third log; a bounded part of the output as JSON events. Measured with `true` and lines"

    def refusal(self, work):
        return None if work.name in ("true", "lines") else ""

    def chain(self, work, folder):
        self.words = ["exec", "--json", "compact", "--", "/bin/sh", "-c", work.command]
        return super().chain(work, folder)


class Tee(Program):
    name, label = "tee", "`tee`"
    what = "`cmd \\| tee a > b`: two copies of stdout. No JSON, no stderr, no times, no exit code, no state"

    def refusal(self, work):
        return one_stream_only(work)

    def chain(self, work, folder):
        return Chain([["/bin/sh", "-c", work.command], ["tee", "a"]], folder, in_folder(folder, "b"))


class Cat(Program):
    name, label = "cat", "`cat >file`"
    what = "`cmd \\| cat > a`: one copy of stdout. Nothing else"

    def refusal(self, work):
        return one_stream_only(work)

    def chain(self, work, folder):
        return Chain([["/bin/sh", "-c", work.command], ["cat"]], folder, in_folder(folder, "a"))


def installed(name):
    return None if shutil.which(name) else f"{name} is not installed"


class Parallel(Program):
    name, label = "parallel", "GNU parallel"
    what = ("`--results`: stdout and stderr of each command in files, which the commands write themselves, "
            "then read and printed again. No JSON, no times of output; exit codes only with `--joblog`")

    def missing(self):
        return installed("parallel")

    def chain(self, work, folder):
        # The results are told apart by an argument; the commands take none.
        return Chain([["parallel", "--will-cite", f"-j{work.jobs}", "--results", "results",
                       work.command + " # {}", ":::"] + [str(i) for i in range(1, work.count + 1)]],
                     folder, os.devnull, {"HOME": folder})


RUNTIME = """#!/bin/sh
# What conmon takes for a container runtime: starts the command of the bundle, and says its number.
while [ $# -gt 0 ]; do
    case $1 in
    --bundle) bundle=$2 && shift ;;
    --pid-file) number=$2 && shift ;;
    esac
    shift
done
/bin/sh "$bundle/command" &
echo $! >"$number"
"""


class Conmon(Program):
    name, label = "conmon", "conmon"
    what = ("a log with time and stream before each line, and the exit code in a file. It wants a container "
            "runtime: here a script of ten lines that starts the command, which a user would have to write. One copy; no JSON, no manifest")

    def missing(self):
        return installed("conmon")

    def refusal(self, work):
        if work.count > 1:
            return "one command for each process"
        if work.name == "yes":
            return "45 bytes before each line of two: a log of 24 GB"
        return None if work.size > 0 else "it is confused by a command that ends before its runtime does"

    def chain(self, work, folder):
        for name in ("bundle", "exits", "socket"):
            os.mkdir(in_folder(folder, name))
        with open(in_folder(folder, "bundle/command"), "w") as file:
            file.write(work.command + "\n")
        with open(in_folder(folder, "runtime"), "w") as file:
            file.write(RUNTIME)
        os.chmod(in_folder(folder, "runtime"), 0o700)
        return Chain([["conmon", "--sync", "--full-attach", "--socket-dir-path", in_folder(folder, "socket"),
                       "-r", in_folder(folder, "runtime"), "-c", "one", "-u", "one", "-n", "one",
                       "-b", in_folder(folder, "bundle"), "-p", in_folder(folder, "number"),
                       "--persist-dir", in_folder(folder, "exits"), "--exit-dir", in_folder(folder, "exits"),
                       "-l", "k8s-file:" + in_folder(folder, "log")]], folder, os.devnull)


class Xargs(Program):
    name, label = "xargs", "`xargs -P`"
    what = ("`sh -c 'cmd >file 2>file'` for each: the commands write their files themselves, nothing passes "
            "through xargs. No JSON, no times, no exit codes, no state")

    def missing(self):
        return installed("xargs")

    def refusal(self, work):
        if work.count == 1 and work.size > 0:
            return "the shell's redirection, not xargs, would be measured"
        return None

    def chain(self, work, folder):
        with open(in_folder(folder, "numbers"), "w") as file:
            file.writelines(f"{i}\n" for i in range(1, work.count + 1))
        os.mkdir(in_folder(folder, "printed"))
        return Chain([["xargs", f"-P{work.jobs}", "-I{}", "/bin/sh", "-c",
                       work.command + " >printed/{}.out 2>printed/{}.err"]],
                     folder, os.devnull, stdin=in_folder(folder, "numbers"))


class Ninja(Program):
    name, label = "ninja", "ninja"
    what = ("prints a command's output, both streams as one, when it has ended, and holds it in memory until "
            "then. No JSON, no times, no exit codes, no state; one file for all")

    def missing(self):
        return installed("ninja")

    def refusal(self, work):
        return "would hold all of it in memory, see the long line" if work.size > LARGE else None

    def chain(self, work, folder):
        with open(in_folder(folder, "build.ninja"), "w") as file:
            file.write(f"rule run\n  command = {work.command}\n")
            file.writelines(f"build {i}: run\n" for i in range(1, work.count + 1))
        return Chain([["ninja", f"-j{work.jobs}"]], folder, in_folder(folder, "stdout"))


ALL = [Start, StartTwo, Exec, Original, OriginalExec, Tee, Cat, Parallel, Conmon, Xargs, Ninja]


def why_not(fetch):
    """Runs a command that fetches the original unless it is there: why there is none, or None."""
    done = subprocess.run(fetch, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return None if done.returncode == 0 else (done.stdout.strip() or "it can't be fetched")
