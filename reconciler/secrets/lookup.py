"""Resolves `valueFrom` to a secret when it is needed.

Called by `settings` for the credentials of the project, and by `session` for what manifests refer to. Every error says
which source, where it was looked for, and what to do; never the value.
"""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconciler.errors import Problem, SecretMissing
from reconciler.secrets.redactor import Redactor
from reconciler.secrets.secret import Secret
from reconciler.secrets.secret_value import LARGEST_SECRET, Fault, secret_text, standard_variables

NOT_FOUND = "not found"


def _no_warning(warning: str) -> None:
    """Ignore *warning*."""


@dataclass(frozen=True, slots=True, repr=False)
class Sources:
    """The sources that secrets may come from: of manifests where *files* is a folder, else of the project file."""

    environ: Mapping[str, str]
    files: Path | None  # the folder that files must be in; None = any file, for operator configuration
    env: tuple[str, ...] | None = None  # patterns of names that may be read; None = all but *logins*
    logins: frozenset[str] = frozenset()  # names of variables that hold credentials of the project
    relative_to: Path = Path()  # of relative paths, where *files* is None
    redactor: Redactor = field(default_factory=Redactor)
    warn: Callable[[str], None] = _no_warning
    login_files: tuple[Path, ...] = ()  # that hold credentials of the project; not to be read
    how_to_list: str = "list it in secrets: {{env: [{0}]}} of the project file"  # {0}: the name of the variable


def resolve(value_from: Mapping[str, Any], sources: Sources, *, where: str = "") -> Secret:
    """Return the secret that `{valueFrom: {env: NAME}}` or `{env: NAME}` (or `file`) names.

    Raises SecretMissing, with the name of the source and never its content. *where* is what the secret is for.
    """
    source = value_from.get("valueFrom", value_from)
    if "env" in source:
        what, found = f"environment variable {source['env']}", _variable(source["env"], sources)
    elif "file" in source:
        what, found = f"secret file {source['file']}", _file(source["file"], sources)
    else:
        what, found = "valueFrom", Fault("has no source", "set env or file")
    if not isinstance(found, Fault) and sources.files is not None and (name := _standard(found, sources.environ)):
        found = Fault(f"has the same value as {name}, which is not a secret", "set it to a password")
    if isinstance(found, Fault):
        raise SecretMissing([Problem(where or "secrets", 0, 0, what.replace("\0", "\\0"), *found)])
    secret = Secret(found)
    sources.redactor.add(secret)
    return secret


def _standard(value: str, environ: Mapping[str, str]) -> str:
    return next((name for name in standard_variables(environ) if environ[name] == value), "")


def _variable(name: str, sources: Sources) -> str | Fault:
    if name not in sources.environ:
        return Fault("is not set", f"set {name} where this command runs")
    if not allowed_variable(name, sources):
        return Fault("is set, but manifests may not read it", sources.how_to_list.format(name))
    return secret_text(os.fsencode(sources.environ[name]), "variable")


def allowed_variable(name: str, sources: Sources) -> bool:
    """Return whether manifests may read the variable *name*; a credential of the project only if listed by its name."""
    if sources.env is None or name in sources.logins:
        return name not in sources.logins or name in (sources.env or ())
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in sources.env)


def _file(name: str, sources: Sources) -> str | Fault:
    if "\0" in name:
        return Fault("has a name with a NUL character", "check the path")
    base = sources.relative_to if sources.files is None else sources.files
    root, path = Path(os.path.realpath(base)), Path(os.path.realpath(base / name))
    if sources.files is not None and not path.is_relative_to(root):
        hint = f"it is {root}; set secrets.files of the project file to the folder that holds secrets"
        return Fault("is outside the secrets folder", hint)
    data = read_file(path, LARGEST_SECRET)
    if isinstance(data, Fault):
        return data._replace(hint=f"{data.hint}; paths are relative to {root}") if data.message == NOT_FOUND else data
    if same_file(path, sources.login_files):
        hint = "set secrets.files of the project file to a folder with the secrets of manifests only"
        return Fault("is a credential of this project; manifests may not read it", hint)
    if path.stat().st_mode & stat.S_IROTH:
        sources.warn(f"secret file {name} can be read by every user of this machine: run chmod o-r")
    return secret_text(data, "file")


def same_file(path: Path, others: tuple[Path, ...]) -> Path | None:
    """Return which of *others* is the file at *path*: by name, or by a symbolic or hard link."""
    for other in others:
        try:
            if other.samefile(path):
                return other
        except OSError:
            continue
    return None


def read_file(path: Path, largest: int) -> bytes | Fault:
    """Return the bytes of a regular file, at most one more than *largest*."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return Fault(NOT_FOUND, f"there is no {path}")
    except OSError as error:
        return Fault(f"cannot be read: {(error.strerror or 'error').lower()}", f"check the permissions of {path}")
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        what = "is a folder" if stat.S_ISDIR(mode) else "is not a regular file"
        return Fault(what, f"{path} has to be a file that holds only the value")
    with os.fdopen(handle, "rb") as file:
        return file.read(largest + 1)
