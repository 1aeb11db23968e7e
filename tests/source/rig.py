"""Repositories made by hand, object by object, so that they can be what git itself would never write."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import struct
import subprocess
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from reconciler.secrets import Secret
from reconciler.settings import ProjectLimits
from reconciler.settings.source import GitSource
from reconciler.source import Revision
from reconciler.source.git_repository import GitRepository, SourceContext

BLOB, PROGRAM, TREE, LINK, SUBMODULE = b"100644", b"100755", b"40000", b"120000", b"160000"
NULL = "0" * 40
NOW = 1_750_000_000

Entry = tuple[bytes, bytes, str]  # mode, name, id


def tool(name: str) -> str:
    """Return where a program is that these tests need; they fail where it is missing."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    assert found, f"{name} is not installed; .ci/run installs it"
    return found


class Remote:
    """A bare repository whose objects and references are written directly."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("objects/pack", "objects/info", "refs/heads", "refs/tags"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "HEAD").write_text("ref: refs/heads/main\n", encoding="ascii")
        (folder / "config").write_text("[core]\n\trepositoryformatversion = 0\n\tbare = true\n", encoding="ascii")

    def put(self, kind: str, data: bytes) -> str:
        """Write an object, whatever it holds; return its id."""
        text = f"{kind} {len(data)}".encode() + b"\0" + data
        id_ = hashlib.sha1(text).hexdigest()
        path = self.folder / "objects" / id_[:2] / id_[2:]
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(zlib.compress(text, 1))
        return id_

    def blob(self, data: bytes | str) -> str:
        return self.put("blob", data.encode() if isinstance(data, str) else data)

    def tree(self, *entries: Entry, sort: bool = True) -> str:
        """Write a tree with exactly these entries."""
        ordered = sorted(entries, key=lambda one: one[1] + (b"/" if one[0] == TREE else b"")) if sort else entries
        return self.put(
            "tree", b"".join(mode + b" " + name + b"\0" + bytes.fromhex(id_) for mode, name, id_ in ordered)
        )

    def folder_of(self, files: Mapping[str, bytes | str]) -> str:
        """Write a tree with ordinary files in ordinary folders."""
        below: dict[str, dict[str, bytes | str]] = {}
        entries: list[Entry] = []
        for name, data in files.items():
            head, _, rest = name.partition("/")
            if rest:
                below.setdefault(head, {})[rest] = data
            else:
                entries.append((BLOB, name.encode(), self.blob(data)))
        entries += [(TREE, name.encode(), self.folder_of(inner)) for name, inner in below.items()]
        return self.tree(*entries)

    def commit(
        self, tree: str, *parents: str, message: str = "change", headers: str = "", author: str = "Ana <a@example.com>"
    ) -> str:
        return self.put("commit", self.commit_text(tree, *parents, message=message, headers=headers, author=author))

    def commit_text(
        self, tree: str, *parents: str, message: str = "change", headers: str = "", author: str = "Ana <a@example.com>"
    ) -> bytes:
        lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
        lines += [f"author {author} {NOW} +0000", f"committer {author} {NOW} +0000"]
        return ("\n".join(lines) + "\n" + headers + f"\n{message}\n").encode()

    def point(self, id_: str, ref: str = "refs/heads/main") -> str:
        path = self.folder / ref
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{id_}\n", encoding="ascii")
        return id_

    def add(self, files: Mapping[str, bytes | str], *parents: str, ref: str = "refs/heads/main", **more: Any) -> str:
        """Commit ordinary files; return the commit, which *ref* points to."""
        return self.point(self.commit(self.folder_of(files), *parents, **more), ref)

    def remove(self, ref: str) -> None:
        (self.folder / ref).unlink()


def manifest(name: str = "a", size: str = "1GiB") -> str:
    return f"apiVersion: reconciler/v1\nkind: Database\nmetadata: {{name: {name}}}\nspec: {{memory_size: {size}}}\n"


def context(state: Path, **more: Any) -> SourceContext:
    given: dict[str, Any] = {
        "state_dir": state,
        "limits": ProjectLimits(),
        "reveal": lambda value_from: Secret("unused"),
        "redact": str,
        "path": f"{os.environ['PATH']}:/usr/sbin",
        "now": lambda: float(NOW),
    }
    return SourceContext(**{**given, **more})


def source(remote: Remote | str, state: Path, **more: Any) -> GitRepository:
    """Return a source that follows *remote*."""
    outer = {
        name: more.pop(name)
        for name in ("limits_of_manifests", "reveal", "redact", "path_of_programs", "now")
        if name in more
    }
    renamed = {"limits_of_manifests": "limits", "path_of_programs": "path"}
    if not {"branch", "tag", "semver"} & more.keys():
        more["branch"] = "main"
    url = remote if isinstance(remote, str) else str(remote.folder)
    return GitRepository(
        GitSource(url, **more), context(state, **{renamed.get(name, name): value for name, value in outer.items()})
    )


def texts(revision: Revision | None) -> dict[str, str]:
    assert revision is not None
    return {name: data.decode() for name, data in revision.files.items()}


def run(*words: str, stdin: bytes = b"", **env: str) -> bytes:
    """Run a program of the test's own."""
    done = subprocess.run(words, input=stdin, capture_output=True, env={**os.environ, **env}, timeout=60)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


class Opened:
    """Tells whether anybody on this machine opened, read or changed one of some files (inotify)."""

    _EVENTS = 0x20 | 0x1 | 0x2  # IN_OPEN, IN_ACCESS, IN_MODIFY

    def __init__(self, *paths: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self.handle = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self.handle >= 0
        for path in paths:
            assert libc.inotify_add_watch(self.handle, os.fsencode(path), self._EVENTS) >= 0

    def events(self) -> list[int]:
        """Return the events since the last call."""
        try:
            data = os.read(self.handle, 65536)
        except BlockingIOError:
            return []
        found, start = [], 0
        while start < len(data):
            _, mask, _, length = struct.unpack_from("iIII", data, start)
            found.append(mask)
            start += 16 + length
        return found

    def close(self) -> None:
        os.close(self.handle)


def in_thread(what: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Start *what*; its result, or the exception that it raised, is in the list once the thread has ended."""
    found: list[Any] = []

    def body() -> None:
        try:
            found.append(what())
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    return thread, found


def bytes_below(folder: Path) -> Sequence[bytes]:
    return [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]
