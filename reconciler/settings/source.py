"""The source of manifests: a git repository or a folder, as set in the project file.

Called by `project`. The values are passed on git's command line, so each is checked against a pattern first; the source
itself is opened by `reconciler.source`. Credentials are references, never values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from reconciler.kinds.quantities import quantity
from reconciler.settings.target import ReportProblem
from reconciler.yaml12 import Path as YamlPath
from reconciler.yaml12 import shown

_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])"
_USER = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}"
_PATH = r"(?:[A-Za-z0-9._~+@:/-]|%[2-7][0-9A-Fa-f]){1,1024}"
_HTTPS = re.compile(rf"https://{_HOST}(?::[0-9]{{1,5}})?/{_PATH}")
_SSH = re.compile(rf"ssh://(?:{_USER}@)?{_HOST}(?::[0-9]{{1,5}})?/{_PATH}")
_SCP = re.compile(rf"{_USER}@{_HOST}:(?!-){_PATH}")
_LOCAL = re.compile(r"(?:file://)?/[^\x00-\x1f\x7f]{1,1024}")
_REF = re.compile(r"[^\x00-\x20\x7f~^:?*\[\\-][^\x00-\x20\x7f~^:?*\[\\]{0,199}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SSH_FILE = re.compile(r"[\x00-\x1f\x7f\"'\\$%]")


class Verify(NamedTuple):
    """Whose signatures are required."""

    mode: str  # "ssh" or "gpg"
    signers: Path  # ssh: an allowed-signers file; gpg: exported public keys
    since: str = ""  # a commit that counts as verified: earlier ones are not checked


class SourceLimits(NamedTuple):
    """Limits of a repository."""

    size: int = 256 * 1024 * 1024  # bytes that one fetch may store
    commits: int = 10_000  # checked between two revisions


@dataclass(frozen=True, slots=True)
class GitSource:
    """A git repository: one of *branch*, *tag* and *semver* selects the commit."""

    url: str
    branch: str = ""
    tag: str = ""
    semver: str = ""
    path: str = ""  # the folder that layers are relative to; "" = the root
    depth: int = 0  # commits of the first fetch; 0 = all
    ssh_key: Path | None = None
    known_hosts: Path | None = None
    username: str = ""
    password: Mapping[str, Any] | None = None  # {"valueFrom": …}
    ca_cert: Path | None = None
    verify: Verify | None = None
    allow_rewind: bool | str = False  # a string: to this commit
    interval: float = 60.0
    timeout: float = 120.0
    limits: SourceLimits = field(default_factory=SourceLimits)

    @property
    def protocol(self) -> str:
        """The protocol of the URL: https, ssh or file."""
        return protocol(self.url)

    @property
    def wanted(self) -> str:
        """The followed ref, for messages."""
        if self.semver:
            return f"versions {self.semver}"
        return f"tag {self.tag}" if self.tag else f"branch {self.branch}"


@dataclass(frozen=True, slots=True)
class FolderSource:
    """A folder that is kept up to date from outside, such as a mounted ConfigMap."""

    folder: Path
    interval: float = 10.0


def protocol(url: str) -> str:
    """Return the protocol that git uses for *url*; "" for one that is not accepted."""
    if _LOCAL.fullmatch(url) and ".." not in url.split("/"):
        return "file"
    if _HTTPS.fullmatch(url):
        return "https"
    return "ssh" if _SSH.fullmatch(url) or _SCP.fullmatch(url) else ""


def is_ref(name: str) -> bool:
    """Return whether *name* can be a branch or a tag, by git's own rules."""
    parts = name.split("/")
    invalid = "@{" in name or ".." in name or name == "@" or name.endswith(".")
    return bool(
        _REF.fullmatch(name) and not invalid and all(p and p[0] != "." and not p.endswith(".lock") for p in parts)
    )


def read(
    value: Mapping[str, Any], root: Path, at: Callable[[YamlPath], ReportProblem], place: YamlPath = ("source",)
) -> GitSource | FolderSource | None:
    """Return the source in *value*, which matches the schema; None, with problems reported, if it is invalid."""
    return _SourceReader(value, root, at, place).source()


class _SourceReader:
    def __init__(
        self, value: Mapping[str, Any], root: Path, at: Callable[[YamlPath], ReportProblem], place: YamlPath
    ) -> None:
        self.value, self.root, self.at, self.place = value, root, at, place
        self.sound = True

    def report(self, step: str, message: str, hint: str) -> None:
        self.sound = False
        steps = step.split(".") if step else []
        self.at((*self.place, *steps))(message, hint)

    def source(self) -> GitSource | FolderSource | None:
        value = self.value
        if ("url" in value) == ("folder" in value):
            self.report("", "a source is either the url of a git repository or a folder", "set one of them")
            return None
        if "folder" in value:
            return self.folder()
        self.url()
        self.ref()
        self.login()
        self.signers()
        source = GitSource(
            url=value["url"],
            branch=value.get("branch", "") if {"tag", "semver"} & value.keys() else value.get("branch", "main"),
            tag=value.get("tag", ""),
            semver=value.get("semver", ""),
            path=self.path(),
            depth=value.get("depth", 0),
            ssh_key=self.file("ssh", "key"),
            known_hosts=self.file("ssh", "knownHosts"),
            username=value.get("https", {}).get("username", "git"),
            password=value.get("https", {}).get("password"),
            ca_cert=self.file("https", "caCert"),
            verify=self.verify(),
            allow_rewind=value.get("allowRewind", False),
            interval=self.seconds("interval", 60.0),
            timeout=self.seconds("timeout", 120.0),
            limits=self.limits(),
        )
        return source if self.sound else None

    def folder(self) -> FolderSource | None:
        for name in sorted(self.value.keys() - {"folder", "interval"}):
            self.report(name, "only applies to git repositories", "set url, or remove it")
        source = FolderSource(self.root / self.value["folder"], self.seconds("interval", 10.0))
        return source if self.sound else None

    def url(self) -> None:
        url = self.value["url"]
        if protocol(url):
            return
        hint = "write https://HOST/PATH, ssh://git@HOST/PATH, git@HOST:PATH, or an absolute path"
        if re.match(r"https?://[^/]*@", url, re.ASCII):
            self.report("url", "a URL cannot hold a user or a password", "give them as https.username and password")
        else:
            self.report("url", f"{shown(url)} is not a supported repository URL", hint)

    def ref(self) -> None:
        given = sorted({"branch", "tag", "semver"} & self.value.keys())
        if len(given) > 1:
            self.report(given[1], f"{' and '.join(given)} are mutually exclusive", "set one of them")
        for name in {"branch", "tag"}.intersection(given):
            if not is_ref(self.value[name]):
                self.report(name, f"{shown(self.value[name])} is not a valid {name} name", f"write the {name} alone")
        if "semver" in given:
            from reconciler.settings.semver import ranges

            try:
                ranges(self.value["semver"])
            except ValueError as error:
                self.report("semver", f"{error}", "write 1.x, ^1.2, ~1.2.3 or >=1.2 <2")

    def path(self) -> str:
        text: str = self.value.get("path", "")
        parts = text.removeprefix("./").strip("/").split("/") if text not in ("", ".", "./") else []
        bad = text.startswith("/") or any(part in ("", ".", "..") or part.lower() == ".git" for part in parts)
        if bad or _CONTROL.search(text) or "\\" in text:
            self.report("path", f"{shown(text)} is not a folder in a repository", "write it as clusters/production")
        return "/".join(parts)

    def file(self, section: str, name: str) -> Path | None:
        text = self.value.get(section, {}).get(name)
        if text is None:
            return None
        path: Path = self.root.absolute() / text
        if section == "ssh" and _SSH_FILE.search(str(path)):
            self.report(f"{section}.{name}", "is not a path that ssh accepts", "remove quotes, \\, $ and %")
        return path

    def login(self) -> None:
        how = protocol(self.value["url"])
        if _CONTROL.search(self.value.get("https", {}).get("username", "")):
            self.report("https.username", "contains a control character", "write it on one line")
        for section in ("ssh", "https"):
            if section in self.value and how and how != section:
                self.report(section, f"the url does not use {section}", f"remove {section}, or change the url")
        given = self.value.get("ssh", {})
        for name in ("key", "knownHosts") if how == "ssh" else ():
            if name not in given:
                self.report("ssh" if given else "", f"ssh.{name} is missing", "git over ssh needs key and knownHosts")

    def signers(self) -> None:
        if "verify" in self.value and protocol(self.value["url"]) == "file":
            repository = Path(self.value["url"].removeprefix("file://"))
            if (self.root.absolute() / self.value["verify"]["signers"]).resolve().is_relative_to(repository.resolve()):
                self.report("verify.signers", "is inside the repository that it verifies", "store it elsewhere")
        if "verify" in self.value and self.value.get("depth"):
            self.report("depth", "verify requires every commit", "remove depth")

    def verify(self) -> Verify | None:
        given = self.value.get("verify")
        if given is None:
            return None
        return Verify(given["mode"], self.root.absolute() / given["signers"], given.get("since", ""))

    def seconds(self, name: str, default: float) -> float:
        text = self.value.get(name, default)
        number = quantity(text, "seconds") if isinstance(text, str) else text
        if not number:
            self.report(name, f"{shown(str(text))} is not a duration", "use 30s, 5m or 1h")
        return float(number or default)

    def limits(self) -> SourceLimits:
        given = dict(self.value.get("limits", {}))
        size = given.get("size")
        if isinstance(size, str):
            given["size"] = quantity(size, "bytes")
            if not given["size"]:
                self.report("limits.size", f"{shown(size)} is not a size", "write 256MiB, or a number of bytes")
                return SourceLimits()
        return SourceLimits(**given)
