"""Files that are uploaded to a cluster unchanged, such as modules.

They are read from the folder of the project file only, and never from where secrets are.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from reconciler.errors import InputError, Problem

LARGEST = 512 * 1024 * 1024


Refusal = Callable[[Path], tuple[str, str] | None]  # why a file must not be read, and what to do


def load(root: Path, name: str, refusal: Refusal = lambda path: None) -> bytes:
    """Return the bytes of the file *name* below *root*; raises InputError if it leads outside or may not be read."""
    base = Path(os.path.realpath(root))
    try:
        path = Path(os.path.realpath(base / name))
        if not path.is_relative_to(base):
            raise _unusable(name, "is outside the folder of the project file", "move it next to the manifests")
        if refused := refusal(path):
            raise _unusable(name, *refused)
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", "") or str(error)).lower()
        raise _unusable(name, f"cannot be read: {reason}", "check the path") from None
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
        os.close(handle)
        raise _unusable(name, f"is not a regular file of at most {LARGEST >> 20} MiB", "check the path")
    with os.fdopen(handle, "rb") as file:
        return file.read(LARGEST)


def _unusable(name: str, message: str, hint: str) -> InputError:
    return InputError([Problem(f"file {name}", 0, 0, "", message, hint)])
