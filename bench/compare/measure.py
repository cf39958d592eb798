"""Runs a program once and says what that cost."""
import os
import signal
import subprocess
import sys
import threading
import time

RUNNING = []  # what has not been waited for yet, and is ended with the suite
MAY_POLL = 0.0001, 0.02  # seconds between two looks at a process's memory: at first, and at most


class Failed(Exception):
    """A program did not do what was asked of it."""


class TooLong(Failed):
    """It was stopped."""


class Chain:
    """Processes joined by pipes: `commands` is a list of argument lists. The program that is looked
    at is the last one; the others only print. What the last one prints goes to `stdout`, a path.
    `launches`: it only starts the real one, of the same executable."""

    def __init__(self, commands, folder, stdout, env=None, stdin=os.devnull, launches=False):
        self.commands, self.folder, self.stdout = commands, folder, stdout
        self.env, self.stdin, self.launches = env, stdin, launches

    def under(self, words):
        """The same, the last program run by these words in front of it."""
        return Chain(self.commands[:-1] + [words + self.commands[-1]], self.folder, self.stdout, self.env, self.stdin)


def cpu_of(pid):
    """Seconds of processor time of a process, all of its threads, but not of its children. The clock
    can be read until the process has been waited for. See clock_getcpuclockid(3)."""
    return time.clock_gettime((~pid << 3) | 2)


def peak_of(pid):
    """The most memory (KiB) the program that runs in a process has had so far; 0: it has ended."""
    try:
        with open(f"/proc/{pid}/status") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1])
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0


def written_by(pid):
    """Bytes of files' pages that a process and what it waited for have made dirty; None: not said."""
    try:
        with open(f"/proc/{pid}/io") as file:
            for line in file:
                if line.startswith("write_bytes:"):
                    return int(line.split()[1])
    except OSError:
        pass
    return None


def touch(size):
    """Has the machine hand over so much memory, and gives it back: a page that is used for the first time
    can cost more than what is done with it, and it would be whoever comes first that pays for that."""
    with open("/proc/meminfo") as file:
        free = next(int(line.split()[1]) for line in file if line.startswith("MemAvailable:")) * 1024
    subprocess.run([sys.executable, "-c", TOUCH, str(int(min(size, free / 2)))], check=True)


TOUCH = """
import mmap, sys
block, left = b"x" * (1 << 20), int(sys.argv[1])
memory = mmap.mmap(-1, max(left, 1))
while left > 0:
    memory.write(block[:left])
    left -= len(block)
"""


def start(chain):
    """Starts all; the list of processes."""
    running, previous = [], open(chain.stdin, "rb")
    env = dict(os.environ, **(chain.env or {}))
    with open(os.path.join(chain.folder, "stderr"), "wb") as errors:
        for at, words in enumerate(chain.commands):
            is_last = at == len(chain.commands) - 1
            out = open(chain.stdout, "wb") if is_last else subprocess.PIPE
            running.append(subprocess.Popen(words, cwd=chain.folder, env=env, stdin=previous, stdout=out,
                                            stderr=errors, start_new_session=True))
            previous.close()
            previous = running[-1].stdout
            if is_last:
                out.close()
    RUNNING.extend(running)
    return running


def stop(processes, number):
    for process in processes:
        if process.returncode is None:
            try:
                os.killpg(process.pid, number)
            except ProcessLookupError:
                pass


def end_all():
    """Ends what is still running and waits for it."""
    for number, seconds in ((signal.SIGTERM, 8), (signal.SIGKILL, 2)):
        stop(RUNNING, number)
        until = time.monotonic() + seconds
        for process in RUNNING:
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                pass


def launched_by(pid):
    """The child of a process that runs the same executable, or None."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            for child in file.read().split():
                if os.readlink(f"/proc/{child}/exe") == os.readlink(f"/proc/{pid}/exe"):
                    return int(child)
    except OSError:
        pass
    return None


def watch(process, launches):
    """Looks at it until it has ended: its peak, and the processor time of what it launched. Both live
    at the same time, so their peaks are added."""
    peak, child, child_peak, child_cpu = 0, None, 0, 0
    pause, most = (0.002, 0.005) if launches else MAY_POLL
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        peak = max(peak, peak_of(process.pid))
        child = child or (launches and launched_by(process.pid))
        if child:
            child_peak = max(child_peak, peak_of(child))
            try:
                child_cpu = max(child_cpu, cpu_of(child))
            except OSError:
                pass
        time.sleep(pause)
        pause = min(pause * 1.05, most)
    return peak + child_peak, child_cpu


def run(chain, seconds, memory=False):
    """Runs it to its end: a dictionary of what it cost. `memory`: its peak is looked at while it runs."""
    begin = time.perf_counter()
    running = start(chain)
    late = threading.Event()

    def stop_it(how):
        late.set()
        stop(running, how)

    alarms = [threading.Timer(seconds, stop_it, [signal.SIGTERM]),
              threading.Timer(seconds + 10, stop_it, [signal.SIGKILL])]
    for alarm in alarms:
        alarm.daemon = True
        alarm.start()
    try:
        peak, launched = watch(running[-1], chain.launches) if memory or chain.launches else (0, 0)
        for process in running:
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        wall = time.perf_counter() - begin
    finally:
        for alarm in alarms:
            alarm.cancel()
    result = {"wall": wall, "own": cpu_of(running[-1].pid) + launched,
              "written": written_by(running[-1].pid)}
    user = system = 0
    for process in running:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        user, system = user + usage.ru_utime, system + usage.ru_stime
        RUNNING.remove(process)
    result.update(user=user, system=system)
    if memory:
        result["peak_kib"] = peak
    if late.is_set():
        raise TooLong(f"stopped after {seconds:.0f} s")
    if running[-1].returncode != 0:
        with open(os.path.join(chain.folder, "stderr"), errors="replace") as file:
            said = file.read()[-300:].strip()
        raise Failed(f"exit code {running[-1].returncode}: {said}")
    return result
