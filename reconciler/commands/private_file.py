"""Files that commands write: atomically, readable by their owner only whatever the umask, never through a link."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from reconciler.errors import InputError, Problem


def write(path: Path, content: bytes) -> None:
    """Write *content* to *path* atomically, with mode 0600; raises InputError."""
    draft = None
    try:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            what = "is a symbolic link" if path.is_symlink() else "is not a regular file"
            if not path.is_symlink() and path.is_dir():
                what = "is a folder"
            raise InputError([Problem(str(path), 0, 0, "", what, "name a regular file")])
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, 0o600)  # the umask may even take the owner's permissions
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            if draft is not None:
                draft.unlink()
        reason = (error.strerror or "error").lower()
        raise InputError([Problem(str(path), 0, 0, "", f"cannot be written: {reason}")]) from error


def make_folder(path: Path) -> None:
    """Create the folder *path* and its missing parents with mode 0700; one that exists stays as it is."""
    if path.is_dir():
        return
    try:
        if path.parent != path:
            make_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
        path.chmod(0o700)
    except OSError as error:
        reason = (error.strerror or "error").lower()
        raise InputError([Problem(str(path), 0, 0, "", f"cannot be created: {reason}")]) from error
