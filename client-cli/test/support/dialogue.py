"""Runs a command on a pseudo-terminal and plays a dialogue with it.

stdin: {"argv": [...], "cwd": "...", "env": {...}, "steps": [{"expect": "text", "send": "text"}], "deadline": seconds}
stdout: {"code": exit code, "transcript": all that the terminal showed}
"""
import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

job = json.load(sys.stdin)
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    os.chdir(job["cwd"])
    os.execve(job["argv"][0], job["argv"], job["env"])

deadline = time.monotonic() + job["deadline"]
shown = b""
searched = 0
steps = list(job["steps"])
while True:
    while steps:
        wanted = steps[0]["expect"].encode()
        found = shown.find(wanted, searched)
        if found < 0:
            break
        searched = found + len(wanted)
        os.write(terminal, steps.pop(0)["send"].encode())
    left = deadline - time.monotonic()
    if left <= 0:
        os.kill(pid, signal.SIGKILL)
        break
    if select.select([terminal], [], [], min(left, 0.2))[0]:
        try:
            data = os.read(terminal, 4096)
        except OSError:
            break
        if not data:
            break
        shown += data
_, status = os.waitpid(pid, 0)
json.dump({
    "code": os.waitstatus_to_exitcode(status),
    "transcript": shown.decode("utf-8", "replace"),
    "unmet": [step["expect"] for step in steps],
}, sys.stdout)
