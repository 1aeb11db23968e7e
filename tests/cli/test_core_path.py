"""The path of one field, from the manifest to the HTTP request: how many files a reader has to follow.

CONTRIBUTING lists the files of the core path. The second test runs one update and prints all files that it enters, so
that the figure stays visible: `python -m pytest -s tests/cli/test_core_path.py`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.cli.rig import Cli

ROOT = Path(__file__).resolve().parent.parent.parent
MOST_FILES, MOST_LINES = 12, 2700  # of the core path
MOST_ENTERED = 130  # files entered by one update, most of which only support the core path

# Runs the command line, and writes the files of the package whose functions were called, in the order of calls.
PROGRAM = """
import json, os, sys, threading
entered = {}
package = sys.argv.pop(1)
def profile(frame, event, arg):
    if event == "call" and frame.f_code.co_flags & 1:  # functions, not the bodies of modules and classes
        name = frame.f_code.co_filename
        if name.startswith(package) and name not in entered:
            entered[name] = len(entered)
from reconciler.cli import main
threading.setprofile(profile)
sys.setprofile(profile)
try:
    main()
except SystemExit as end:
    sys.setprofile(None)
    print(json.dumps(sorted(entered, key=entered.get)), file=sys.stderr)
    sys.stderr.flush()
    os._exit(end.code)
"""


def core_path() -> list[Path]:
    """Return the files that CONTRIBUTING names, in order."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.partition("## The path of one field")[2].partition("\n## ")[0]
    return [ROOT / "reconciler" / name for name in re.findall(r"^\| `([a-z_/]+\.py)`", section, re.MULTILINE)]


def entered(cli: Cli, *words: str) -> list[Path]:
    """Return the files of the package that a command enters."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(ROOT / "reconciler"), *words],
        cwd=cli.folder,
        env=cli.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [Path(name) for name in json.loads(done.stderr.splitlines()[-1])]


def test_the_core_path_is_short() -> None:
    files = core_path()
    assert [path for path in files if not path.is_file()] == []
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files)
    print(f"core path: {len(files)} files, {lines} lines")
    assert 4 <= len(files) <= MOST_FILES
    assert lines <= MOST_LINES


def test_an_update_passes_the_core_path_and_little_else(applied: Cli) -> None:
    applied.edit("manifests/shop.yaml", "memory_size: 1GiB", "memory_size: 2GiB")
    files = entered(applied, "apply", "--yes")
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files)
    print(f"\none update enters {len(files)} files with {lines} lines:")
    print("\n".join(f"  {path.relative_to(ROOT)}" for path in files))
    assert set(core_path()) <= set(files)
    assert len(files) <= MOST_ENTERED
