"""Public text of manifests: certificates, licences, metadata. It is shown in plans, pages and the ledger.

A manifest chooses what is read, so whatever is a secret is refused: by where it is, by what it is a link to, and by
what it contains. Files have a root folder of their own; variables have to be listed.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reconciler.errors import InputError, Problem, SecretMissing
from reconciler.secrets.lookup import NOT_FOUND, Sources, allowed_variable, read_file, resolve, same_file
from reconciler.secrets.redactor import Redactor
from reconciler.secrets.secret import Secret
from reconciler.secrets.secret_value import LARGEST_SECRET, Fault, secret_text, standard_variables

LARGEST_PUBLIC = 1024 * 1024
MOST_FILES = 2_000  # of the folder of secrets that are compared

_CERTIFICATE = re.compile(r"\s*-----BEGIN CERTIFICATE-----")  # often beside its key; no secret itself
_PRIVATE_KEY = re.compile(r"BEGIN [A-Z0-9 ]*PRIVATE KEY|PuTTY-User-Key-File|AGE-SECRET-KEY-1")


@dataclass(frozen=True, slots=True, repr=False)
class PublicSources:
    """Where public text may come from, and what must not be read as such."""

    files: Path  # the folder that files must be in
    env: tuple[str, ...]  # patterns of names of variables
    secrets: Sources  # of manifests
    logins: Sources  # of the project file
    credentials: tuple[Mapping[str, Any], ...] = ()  # `{env: NAME}` or `{file: PATH}` of the project file
    private_folders: tuple[Path, ...] = ()  # nothing in them is public
    known: list[Redactor] = field(default_factory=list)  # the secrets to compare with, once they are needed

    def fresh(self) -> PublicSources:
        """Return a copy for one run: secrets are looked up again."""
        return replace(self, known=[])

    def text(self, value_from: Mapping[str, Any]) -> str:
        """Return the public text of `{env: NAME}` or `{file: PATH}`; raises InputError."""
        if "env" in value_from:
            what, found = f"environment variable {value_from['env']}", self._variable(value_from["env"])
        else:
            what, found = f"file {value_from['file']}", self._file(value_from["file"])
        if not isinstance(found, Fault):
            found = self._without_secret(found)
        if isinstance(found, Fault):
            raise InputError([Problem("public text", 0, 0, what.replace("\0", "\\0"), *found)])
        return found

    def refusal(self, path: Path) -> Fault | None:
        """Return why the file at the real *path* must not be read for a manifest, by its place and its links."""
        if same_file(path, self.secrets.login_files):
            return Fault("is a credential of this project", "name a file that holds no secret")
        if folder := next((one for one in self._private() if path.is_relative_to(one)), None):
            return Fault("is in a folder of secrets", f"move it out of {folder}")
        if path.exists() and path.stat().st_nlink > 1 and same_file(path, tuple(self._secret_files())):
            return Fault("is a link to a secret file", "name a file that holds no secret")
        return None

    def _variable(self, name: str) -> str | Fault:
        if name in self.secrets.logins:
            return Fault("is a credential of this project", "name a variable that holds no secret")
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in self.env):
            hint = f"list it in public: {{env: [{name}]}} of the project file, or write the text into the manifest"
            return Fault("may not be read as public text", hint)
        if name not in self.secrets.environ:
            return Fault("is not set", f"set {name} where this command runs")
        return _public(os.fsencode(self.secrets.environ[name]))

    def _file(self, name: str) -> str | Fault:
        if "\0" in name:
            return Fault("has a name with a NUL character", "check the path")
        root, path = Path(os.path.realpath(self.files)), Path(os.path.realpath(self.files / name))
        where = f"public text is read below {root}; public.files of the project file sets another folder"
        if not path.is_relative_to(root):
            return Fault("is outside the folder of public text", where)
        if refused := self.refusal(path):
            return refused
        data = read_file(path, LARGEST_PUBLIC)
        if isinstance(data, Fault):
            return data._replace(hint=f"{data.hint}; {where}") if data.message == NOT_FOUND else data
        return _public(data)

    def _private(self) -> Iterator[Path]:
        """Yield the folders of secrets; one that holds the folder of public text is none."""
        root = Path(os.path.realpath(self.files))
        for folder in (*self.private_folders, *(path.parent for path in self.secrets.login_files)):
            real = Path(os.path.realpath(folder))
            if not root.is_relative_to(real):
                yield real

    def _secret_files(self) -> Iterator[Path]:
        """Yield the files in the folders of secrets."""
        for folder in dict.fromkeys(self._private()):
            found = (Path(place, name) for place, _, names in os.walk(folder) for name in names)
            yield from (path for _, path in zip(range(MOST_FILES), found, strict=False))

    def _without_secret(self, text: str) -> str | Fault:
        if _PRIVATE_KEY.search(text):
            return Fault("contains a private key", "use a field for secrets, or remove the key from it")
        if not self.known:
            self.known.append(self._compared())
        if any(known.reveals(text) for known in (*self.known, self.secrets.redactor)):
            return Fault("is a secret, or contains one", "use a field for secrets, or remove the secret from it")
        return text

    def _compared(self) -> Redactor:
        """Return every secret of the project that can be found."""
        known = Redactor()
        logins = replace(self.logins, redactor=known, warn=lambda text: None)
        for source in self.credentials:
            with suppress(SecretMissing):
                resolve(source, logins)
        for path in self._secret_files():
            data = read_file(path, LARGEST_SECRET)
            value = data if isinstance(data, Fault) else secret_text(data, "file")
            if not isinstance(value, Fault) and (_PRIVATE_KEY.search(value) or not _CERTIFICATE.match(value)):
                known.add(Secret(value))
        for name in self._secret_variables():
            known.add(Secret(self.secrets.environ[name]))
        return known

    def _secret_variables(self) -> Sequence[str]:
        """Return the variables that are listed as secrets; one that is listed by name as public text is none."""
        if self.secrets.env is None:
            return ()
        harmless = {*self.env, *standard_variables(self.secrets.environ)}
        return [name for name in self.secrets.environ if name not in harmless and allowed_variable(name, self.secrets)]


def _public(data: bytes) -> str | Fault:
    """Return the text in *data*; a byte order mark and one line break at the end are not part of it."""
    if len(data) > LARGEST_PUBLIC:
        return Fault(f"is larger than {LARGEST_PUBLIC // 1024} KiB", "name a file that holds only the text")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return Fault("is not UTF-8 text", "save it as UTF-8; convert a DER certificate to PEM")
    text = text.removesuffix("\n").removesuffix("\r")
    if not text.strip() or "\0" in text:
        return Fault("is empty" if "\0" not in text else "contains a NUL character", "write the text into it")
    return text
