"""What manifests may read: secrets and public text, and the credentials of the project, which they may not.

Called by `settings` only. In the agent and in CI, manifests may come from a branch that is not reviewed yet:
there, only variables that the operator lists can be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from reconciler.secrets import PublicSources, Sources
from reconciler.settings.target import ReportProblem

PUBLIC_FOLDER = "public"


class Credential(NamedTuple):
    """A source of a credential: `{env: NAME}` or `{file: PATH}`."""

    source: Mapping[str, Any]
    user_name: bool = False  # its value may be shown


class Readable(NamedTuple):
    """What the project file or the environment says about it."""

    secret_env: tuple[str, ...] | None = None  # patterns of names; None = all but credentials
    secret_files: Path | None = None
    public_env: tuple[str, ...] = ()
    public_files: Path | None = None
    credentials: tuple[Credential, ...] = ()
    how_to_list: str = "list it in secrets: {{env: [{0}]}} of the project file"

    def sources(
        self, logins: Sources, root: Path, state_dir: Path, *, unattended: bool
    ) -> tuple[Sources, PublicSources]:
        """Return the sources of manifests, given the sources of *logins*."""
        given = [one.source for one in self.credentials]
        files = tuple(root / source["file"] for source in given if "file" in source)
        env = () if unattended and self.secret_env is None else self.secret_env
        secrets = replace(
            logins,
            files=self.secret_files or root,
            env=env,
            logins=frozenset(source["env"] for source in given if "env" in source),
            login_files=files if self.secret_files is None else (),
            how_to_list=self.how_to_list,
        )
        public = PublicSources(
            files=self.public_files or root / PUBLIC_FOLDER,
            env=self.public_env,
            secrets=replace(secrets, login_files=files),
            logins=logins,
            credentials=tuple(one.source for one in self.credentials if not one.user_name),
            private_folders=(state_dir, *([self.secret_files] if self.secret_files else ())),
        )
        return secrets, public


def readable(project: Mapping[str, Any], root: Path, report: ReportProblem) -> Readable:
    """Return what *project* says; *report* takes a problem of `public.files`."""
    secrets, public = project.get("secrets", {}), project.get("public", {})
    found = Readable(
        tuple(secrets["env"]) if "env" in secrets else None,
        root / secrets["files"] if "files" in secrets else None,
        tuple(public.get("env", ())),
        root / public["files"] if "files" in public else None,
        tuple(credentials(project)),
    )
    shown, hidden = found.public_files, (found.secret_files or root).resolve()
    if shown is not None and shown.resolve() == hidden:
        what = "is the folder of secrets, too" if found.secret_files else "is where secrets are read from, too"
        report(what, "set secrets.files to a folder of its own" if not found.secret_files else "use another folder")
    return found


def credentials(value: Any, name: str = "") -> Iterator[Credential]:
    """Yield every credential that the project file refers to, at any depth: each `valueFrom`, and files of keys."""
    if isinstance(value, Mapping):
        if "valueFrom" in value:
            yield Credential(value["valueFrom"], user_name=name == "username")
        for below, item in value.items():
            yield from credentials(item, below)
    elif isinstance(value, list):
        for item in value:
            yield from credentials(item, name)
    elif isinstance(value, str) and (name == "key" or name.endswith("Key")):
        yield Credential({"file": value})
