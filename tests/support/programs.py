"""Which files of tests need programs that not every machine has."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


def without(needed: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the files of *needed* that are not collected: a program of theirs is missing, and nobody promised it.

    `RECONCILER_NEEDS` promises programs, as `.ci/run` does: their tests then run, and fail where one is missing.
    """
    promised = os.environ.get("RECONCILER_NEEDS", "").split()
    return [
        name
        for name, programs in needed.items()
        if any(shutil.which(program, path=_PATH) is None and program not in promised for program in programs)
    ]
