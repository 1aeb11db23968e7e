"""`reconciler accept`: writes live values into the manifests, as a patch or in place."""

from __future__ import annotations

import difflib
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler import reconcile
from reconciler.commands.console import console_of
from reconciler.commands.flags import CLUSTERS, CONNECTION, FILES, GLOBAL, with_flags
from reconciler.commands.inputs import exit_code, load_manifests, open_session
from reconciler.errors import InputError, Problem, Refused

if TYPE_CHECKING:
    from reconciler.kinds import Kind
    from reconciler.manifests import Manifests, Resource
    from reconciler.plan.accept import Edit


@click.command("accept")
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS[.FIELD]...")
@click.option("--write", is_flag=True, help="Edit the manifests in place instead of printing a unified diff.")
@with_flags(*FILES[:1], *CLUSTERS, *CONNECTION, *GLOBAL)
def command(addresses: tuple[str, ...], write: bool, files: tuple[str, ...], **flags: Any) -> int:
    """Accept drift: write the live value of each ADDRESS into the manifests.

    Prints a unified diff, or edits the files with --write.
    """
    from reconciler.plan import Options
    from reconciler.plan.accept import NotAcceptable, edits, selected

    console = console_of(flags)
    with open_session(flags, console) as session:
        manifests = load_manifests(session.settings, files, console)
        planned = reconcile.plan(session, manifests, Options(limits=session.settings.limits))
        found = reconcile.find_drift(session, planned)
        try:
            wanted = edits(session.kinds, selected(found, addresses), planned.observed.live)
        except NotAcceptable as error:
            raise InputError([Problem("accept", 0, 0, "", str(error))]) from None
        texts = _edited(session.kinds, manifests, wanted)
    for path, (before, after) in sorted(texts.items()):
        if write:
            _write(Path(path), after)
            console.note(f"edited {path}")
        else:
            lines = difflib.unified_diff(
                before.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{path}", f"b/{path}"
            )
            console.out(
                "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
            )
    return exit_code(session, 0)


def _edited(kinds: Mapping[str, Kind], manifests: Manifests, wanted: Iterable[Edit]) -> dict[str, tuple[str, str]]:
    """Return for each file its text before and after."""
    by_address = {resource.address: resource for resource in manifests.resources}
    texts: dict[str, tuple[str, str]] = {}
    for edit in wanted:
        resource = by_address[edit.address]
        path = resource.place(edit.path).file
        _refuse_shared(edit, resource, manifests)
        if path not in texts:
            text = _read(path)
            texts[path] = (text, text)
        before, now = texts[path]
        texts[path] = (before, _put(kinds[edit.address.kind], edit, resource, before, now))
    return texts


def _put(kind: Kind, edit: Edit, resource: Resource, whole: str, text: str) -> str:
    """Return *text*, originally *whole*, with the value of *edit* where *resource* declares it."""
    from reconciler.plan.accept import as_written
    from reconciler.yaml12 import read
    from reconciler.yaml12.editing import CannotEdit, replaced

    place = resource.place(edit.path)
    for document in read(whole, place.file):
        if document.value is None or not document.holds(edit.path) or document.locate(edit.path) != place:
            continue
        before = document.value
        for step in edit.path:
            before = before[step]
        try:
            return replaced(text, place.file, document.index, edit.path, as_written(kind, edit, before))
        except CannotEdit as error:
            where = f"{place.file}:{place.line}:{place.column}: {edit.address}.{'.'.join(edit.path[1:])}"
            raise Refused(f"{where} cannot be edited safely: {error}; edit it manually") from None
    raise Refused(f"{place.file} changed while it was read; run it again")


def _refuse_shared(edit: Edit, resource: Resource, manifests: Manifests) -> None:
    """Refuse to change a value that other clusters share."""
    place = resource.place(edit.path)
    others = sorted(
        one.address.cluster
        for one in manifests.resources
        if one.address[1:] == edit.address[1:] and one.address != edit.address and one.place(edit.path) == place
    )
    if others:
        raise Refused(
            f"{place.file}:{place.line}:{place.column}: {edit.address} shares this value with {', '.join(others)}; "
            "declare it for this cluster in a later layer, and accept it there"
        )


def _read(path: str) -> str:
    if path == "<stdin>":
        raise InputError(
            [Problem(path, 0, 0, "", "manifests from standard input cannot be edited", "name their files")]
        )
    return Path(path).read_bytes().decode()


def _write(path: Path, text: str) -> None:
    """Replace the content of a file, or of the one that a link leads to, atomically; keep its mode."""
    path = Path(os.path.realpath(path))
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
            os.fchmod(file.fileno(), path.stat().st_mode & 0o7777)
        os.replace(draft, path)
    except OSError:
        Path(draft).unlink(missing_ok=True)
        raise
