from __future__ import annotations

import subprocess
import sys

SIGNALLED = """
import os, signal, subprocess
from sgonz.train.child import SIGNALS, shield
signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # as the fork server leaves it
shield()
for number in SIGNALS:
    os.kill(os.getpid(), number)
readable, written = os.pipe()
forked = os.fork()
if not forked:
    os.write(written, b"x")
    signal.pause()
os.read(readable, 1)
os.kill(forked, signal.SIGTERM)
print(os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1]))
program = subprocess.Popen(["sleep", "600"])
program.terminate()
print(program.wait())
"""


def test_run_ignores_signals_that_end_what_it_starts() -> None:
    told = subprocess.run([sys.executable, "-c", SIGNALLED], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["-15", "-15"]
