"""What git leaves behind is ended and waited for, also where the agent is the first process of a container."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# A subreaper inherits orphans as the first process of a container does.
_FIRST_PROCESS = """
import ctypes, os, sys, threading
from reconciler.errors import SourceStale
from reconciler.source.process import Command, Deadline, run

PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
script = "(sleep 60; true) & echo begun > '%s'; " + sys.argv[2]

class OnceBegun(Deadline):
    def check(self, what):  # expires once the program has begun, however long a busy machine takes for that
        if os.path.exists(sys.argv[1]) and os.path.getsize(sys.argv[1]):
            raise SourceStale("timed out")

try:
    run(Command(["sh", "-c", script % sys.argv[1]], os.environ), OnceBegun(0.0, threading.Event()), what="fetching")
except SourceStale:
    print("given up")
try:
    print("left:", os.waitpid(-1, os.WNOHANG))
except ChildProcessError:
    print("nothing left")
"""


@pytest.mark.parametrize("leader", ["wait", "exit 0"])
def test_no_zombie_is_left(tmp_path: Path, leader: str) -> None:
    words = [sys.executable, "-c", _FIRST_PROCESS, str(tmp_path / "begun"), leader]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.stderr) == ("given up\nnothing left\n", "")
    assert (tmp_path / "begun").read_text() == "begun\n"
