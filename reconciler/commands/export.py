"""`reconciler export`: writes the live objects of a cluster as manifests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler import reconcile
from reconciler.commands import private_file
from reconciler.commands.console import Console, console_of
from reconciler.commands.flags import CLUSTERS, CONNECTION, GLOBAL, with_flags
from reconciler.commands.inputs import exit_code, open_session
from reconciler.errors import InputError, Problem
from reconciler.kinds.kind_files import schema_folder
from reconciler.plan.read_set import ReadSet
from reconciler.render.escape import clean

if TYPE_CHECKING:
    from reconciler.export import Remark
    from reconciler.session import Session

_MOST_NAMES = 20  # on one line


@click.command("export")
@click.argument("names", nargs=-1, metavar="[KIND]...")
@click.option("--out", metavar="DIR", help="Write one file per kind into this folder; never overwrites files.")
@with_flags(*CLUSTERS, *CONNECTION, *GLOBAL)
def command(names: tuple[str, ...], out: str | None, **flags: Any) -> int:
    """Export the live objects of a cluster as manifests.

    Fields with default values are omitted; secrets become references. What else is left out, such as built-in objects
    and kinds that the account cannot read, is reported on standard error and in comments.
    """
    console = console_of(flags)
    folder = Path(out) if out is not None else None
    with open_session(flags, console) as session:
        pages, remarks = _exported(session, names, in_folder=folder is not None)
    if folder is None:
        console.out("---\n".join(pages.values()))
    else:
        _write(folder, pages, console)
    for text in _grouped(remarks):
        console.note(text)
    return exit_code(session, 0)


def _write(folder: Path, pages: Mapping[str, str], console: Console) -> None:
    from reconciler.export import SCHEMA

    for path in pages:
        if (folder / path).exists():
            raise click.UsageError(f"{folder / path} exists already; use another folder")
    for path, text in pages.items():
        private_file.make_folder((folder / path).parent)
        private_file.write(folder / path, text.encode())
        console.out(f"{folder / path}")
    if pages:  # for editors: the first line of each manifest names it
        private_file.write(folder / SCHEMA, (schema_folder() / "manifest.json").read_bytes())


def _exported(session: Session, kinds: Sequence[str], *, in_folder: bool) -> tuple[dict[str, str], list[Remark]]:
    """Return YAML by file name for each kind with something to say, and what is left out.

    Several clusters get a folder each.
    """
    from reconciler.export import SCHEMA, Exported, manifests_of

    names = dict.fromkeys(kinds or session.kinds)
    unknown = [
        Problem("KIND", 0, 0, "", f"unknown kind {name}", f"the kinds are {', '.join(session.kinds)}")
        for name in names
        if name not in session.kinds
    ]
    if unknown:
        raise InputError(unknown)
    schema = (schema_folder() / "manifest.json").as_uri()
    if in_folder:
        schema = f"../{SCHEMA}" if session.several else SCHEMA
    pages: dict[str, str] = {}
    remarks: list[Remark] = []
    exported = Exported()
    optional = frozenset(() if kinds else session.kinds)  # what is asked for by name has to be readable
    sets = {target.name: ReadSet(dict.fromkeys(names), optional=optional) for target in session.targets}
    for cluster, state in reconcile.read(session, sets).items():
        for kind in (session.kinds[name] for name in names):
            mine = cluster if session.several or kind.traits.multi_cluster else ""
            objects = exported.new(kind, state.objects.get(kind.name, ()))
            page = manifests_of(kind, objects, cluster=mine, schema=schema, state=state)
            if page.text:
                file = f"{kind.name.lower()}.yaml"
                pages[f"{cluster}/{file}" if session.several else file] = page.text
            prefix = f"{cluster}:" if session.several else ""
            remarks += (one._replace(kind=f"{prefix}{one.kind}") for one in page.remarks)
    return pages, remarks


def _grouped(remarks: Iterable[Remark]) -> Iterator[str]:
    """Yield a line for each kind and reason; the manifests have one for each object."""
    names: dict[tuple[str, str], list[str]] = {}
    for one in remarks:
        names.setdefault((one.kind, one.text), []).extend(filter(None, [one.name]))
    for (kind, text), found in names.items():
        some = ", ".join(found[:_MOST_NAMES]) + (f" and {len(found) - _MOST_NAMES} more" if found[_MOST_NAMES:] else "")
        yield f"{kind}{f' {some}' if some else ''}: {clean(text)}"
