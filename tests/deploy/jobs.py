"""Runs the scripts of `deploy/ci` as a CI job does, and searches what they print for the forge's token."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.cli.rig import LIMIT, Cli, Done
from tests.deploy.fakeforge import TOKEN, FakeForge

SCRIPTS = Path(__file__).resolve().parent.parent.parent / "deploy" / "ci"


def script(checkout: Cli, name: str, *words: str, code: int = 0, **env: str) -> Done:
    """Run one of the scripts in *checkout*; every file that it leaves there is searched for secrets."""
    process = subprocess.Popen(
        [str(SCRIPTS / name), *words],
        cwd=checkout.folder,
        env={**checkout.env, "RECONCILER": f"{sys.executable} -m reconciler", **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    checkout.started.append(process)
    out, err = process.communicate(timeout=LIMIT)
    done = checkout.done(process, out, err)
    assert done.code == code, f"exit {done.code}\n--- out\n{done.out}\n--- err\n{done.err}"
    return done


def ask(fake: FakeForge, *words: str | Path, code: int = 0, **env: str) -> Done:
    """Run `forge.py`, with the environment that the forge gives its jobs."""
    command = [sys.executable, str(SCRIPTS / "forge.py"), *(str(word) for word in words)]
    done = subprocess.run(
        command,
        env={"PATH": os.environ["PATH"], "PYTHONWARNINGS": "error", **fake.environment(), **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert TOKEN not in done.stdout + done.stderr + " ".join(command)
    return Done(done.returncode, done.stdout, done.stderr)
