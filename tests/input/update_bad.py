"""Write down again what is said of each file in `bad/`. Read the difference before committing it.

python tests/input/update_bad.py
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from reconciler import manifests
from reconciler.errors import InputError
from reconciler.kinds import load_kinds

BAD = Path(__file__).parent / "bad"


def said_of(name: str) -> str:
    """Return what is said of the file *name* in the current folder, one problem a line."""
    try:
        manifests.load([name], load_kinds())
    except InputError as error:
        return f"{error}\n"
    return "nothing\n"


if __name__ == "__main__":
    os.chdir(BAD)
    for path in sorted(Path().glob("*.yaml")):
        path.with_suffix(".txt").write_text(said_of(path.name), encoding="utf-8")
