"""terminal.py COLUMNS TEXT ACTION PROGRAM ARGUMENT…

Runs a program with a terminal of that width as stderr; what it prints there goes to the file
"screen", byte for byte, stdout to the file "stdout". When TEXT has appeared (if it is not empty),
ACTION is carried out: "interrupt" presses Ctrl-C, anything else is run by a shell. Ends with the
program's exit code, 128+N for signal N.
"""
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

columns, text, action, program = int(sys.argv[1]), sys.argv[2].encode(), sys.argv[3], sys.argv[4:]
master, slave = pty.openpty()
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))


def take_terminal():  # for Ctrl-C; its end would take away what has not been read
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)


with open("stdout", "wb") as out:
    child = subprocess.Popen(program, stdin=subprocess.DEVNULL, stdout=out, stderr=slave,
                             preexec_fn=take_terminal if action == "interrupt" else os.setsid)
os.close(slave)
screen = b""
while True:
    try:
        more = os.read(master, 65536)
    except OSError:  # nobody has the other side open any more
        break
    if not more:
        break
    screen += more
    if text and text in screen:
        text = b""
        if action == "interrupt":
            os.write(master, b"\x03")
        else:
            subprocess.run(action, shell=True, check=True)
with open("screen", "wb") as file:
    file.write(screen)
code = child.wait()
sys.exit(code if code >= 0 else 128 - code)
