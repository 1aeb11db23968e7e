"""Saved plans on disk: written atomically, readable by the owner only, never through a link. For `plan` and `apply`."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from reconciler.errors import InputError, Problem

LARGEST = 64 * 1024 * 1024


def write(path: Path, content: bytes) -> None:
    """Write *content* to *path* atomically, readable by its owner only."""
    draft = None
    try:
        if path.is_symlink() or path.is_dir():
            what = "is a symbolic link" if path.is_symlink() else "is a folder"
            raise InputError([Problem(str(path), 0, 0, "", what, "use a regular file for the plan")])
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            if draft is not None:
                draft.unlink()
        raise InputError([Problem(str(path), 0, 0, "", f"cannot be written: {_reason(error)}")]) from error


def read(path: Path) -> bytes:
    """Return the bytes of a saved plan."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise InputError([Problem(str(path), 0, 0, "", f"cannot be read: {_reason(error)}")]) from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise InputError([Problem(str(path), 0, 0, "", "is not a regular file", "use a file that `plan --out` wrote")])
    with os.fdopen(handle, "rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise InputError([Problem(str(path), 0, 0, "", "is too large for a plan")])
    return content


def _reason(error: OSError) -> str:
    return (error.strerror or "error").lower()
