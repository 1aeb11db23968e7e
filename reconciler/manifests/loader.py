"""YAML to resources: what is declared for each cluster, checked, in canonical form, with places.

Called by the use cases of `reconcile` and by `validate`. Reads files, or what a source read of them (`Tree`), and
nothing else of the world; knows nothing of live state. Everything that is wrong is collected and raised once, in
reading order.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from reconciler import yaml12
from reconciler.diff import normalize
from reconciler.errors import InputError, Problem
from reconciler.kinds import Kind, envelope_validator
from reconciler.kinds.freeze import Window
from reconciler.kinds.validation import Validator
from reconciler.manifests.files import STDIN, STDIN_NAME, Files, Full
from reconciler.manifests.hosts import check_hosts
from reconciler.manifests.layers import Draft, Key, check_clusters, stack
from reconciler.manifests.multicluster import check_members, check_places, is_elsewhere
from reconciler.manifests.references import Declared, check_away
from reconciler.manifests.rules import check_metadata, check_renames, warnings_of
from reconciler.manifests.trees import Tree, TreeFiles
from reconciler.model import Address
from reconciler.settings import Limits, Target
from reconciler.settings.conduct import window_of
from reconciler.yaml12 import Document, Place

_MOST_PROBLEMS = 1_000
_ANYWHERE = Target(name="", urls=(), username="", password={})  # where no cluster is configured: enough to validate


@dataclass(frozen=True, slots=True)
class Resource:
    """One object that is declared for one cluster."""

    address: Address
    spec: Mapping[str, Any]  # canonical; shared between clusters: not to be changed
    absent: bool  # a tombstone
    protect: bool | None  # None = as the kind has it
    renamed_from: str | None
    ignore: tuple[str, ...]
    labels: Mapping[str, str]
    place: Callable[[yaml12.Path], Place]  # of a path in the manifest, such as ("spec", "memory_size")
    suspended: bool = False  # left alone for now
    allow: tuple[str, ...] = ()  # classes of impact that changing it may have without being asked for
    freeze: tuple[Window, ...] = ()  # when it must not be changed
    source: tuple[str, int] = ("", 0)  # file and line on which it begins


class Manifests(NamedTuple):
    """What was declared, and what the reader should know of it."""

    resources: tuple[Resource, ...]  # by cluster as configured, then in reading order
    unresolved: tuple[Problem, ...] = ()  # references that only the cluster can satisfy
    warnings: tuple[Problem, ...] = ()
    elsewhere: frozenset[Address] = frozenset()  # declared for clusters that take no part

    def only(self, clusters: Collection[str]) -> Manifests:
        """Return what is declared for *clusters*, knowing still what others coordinate."""
        mine = tuple(one for one in self.resources if one.address.cluster in clusters)
        rest = (one.address for one in self.resources if one.address.cluster not in clusters)
        return self._replace(resources=mine, elsewhere=self.elsewhere.union(rest))


class _Checked(NamedTuple):
    """What is the same for every cluster that a draft goes to."""

    spec: Mapping[str, Any]
    warnings: tuple[Problem, ...]


def load(
    paths: Sequence[Path | str],
    kinds: Mapping[str, Kind],
    *,
    clusters: Sequence[Target] = (),
    limits: Limits | None = None,
    stdin: BinaryIO | None = None,
    tree: Tree | None = None,
) -> Manifests:
    """Return what is declared for *clusters* (all that are configured).

    *paths* are files, folders, or `-` for standard input; together they are one layer of every cluster. Without any,
    each cluster has the layers of its own configuration. With *tree* all of them are names in it, and the file system
    is not looked at. Raises InputError with every problem.
    """
    collecting = gc.isenabled()
    gc.disable()  # nothing of the many small values made here is garbage
    try:
        return _Loader(kinds, clusters or (_ANYWHERE,), limits or Limits(), stdin, tree).load(paths)
    finally:
        if collecting:
            gc.enable()


class _Loader:
    def __init__(
        self,
        kinds: Mapping[str, Kind],
        clusters: Sequence[Target],
        limits: Limits,
        stdin: BinaryIO | None,
        tree: Tree | None,
    ) -> None:
        self.kinds = kinds
        self.clusters = clusters
        self.limits = limits
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.used: set[int] = set()  # ids of documents that some cluster took
        self.unresolved: list[tuple[Problem, bool]] = []  # and whether a name nearly matches
        self.files = Files(limits, self.problems, stdin) if tree is None else TreeFiles(tree, limits, self.problems)
        self.layers: dict[str, list[Draft]] = {}
        self.checked: dict[tuple[int, ...], _Checked] = {}
        self.envelope = envelope_validator()
        self.spanning = frozenset(name for name, kind in kinds.items() if kind.traits.spans)
        self.declared: dict[str, Declared] = {}

    def load(self, paths: Sequence[Path | str]) -> Manifests:
        resources: list[Resource] = []
        try:
            for cluster in self.clusters:
                resources += self.cluster(cluster, paths)
            check_away(self.declared, self.problems, self.unresolved)
            check_members(self.declared, self.kinds, self.problems)
            self.check_unused()
        except Full:
            pass
        if self.problems:
            raise InputError(self.refusal())
        self.warnings += [warning for checked in self.checked.values() for warning in checked.warnings]
        unresolved = self.sorted(problem for problem, _ in self.unresolved)
        return Manifests(tuple(resources), tuple(unresolved), tuple(self.sorted(self.warnings)))

    def check_unused(self) -> None:
        """Look at manifests that no cluster took: they can be wrong too, and somebody wrote them for a reason."""
        for draft in (draft for layer in self.layers.values() for draft in layer):
            if id(draft.documents[0]) not in self.used:
                self.check(draft)
                message = "is for no cluster that has this layer of manifests"
                self.warnings.append(draft.problem(("metadata",), message, "compare with the project file"))

    def refusal(self) -> list[Problem]:
        """Return the problems to raise: also names that nobody declares, where a declared one is nearly the same."""
        problems = self.sorted([*self.problems, *(problem for problem, near in self.unresolved if near)])
        if len(problems) > _MOST_PROBLEMS:
            problems[_MOST_PROBLEMS:] = [Problem("manifests", 0, 0, "", "there are more problems than are shown")]
        return problems

    def sorted(self, problems: Iterable[Problem]) -> list[Problem]:
        """Return *problems* in reading order, each once."""
        order = self.files.order
        return sorted(dict.fromkeys(problems), key=lambda p: (order.get(p.file, -1), p.file, p.line, p.column))

    def cluster(self, cluster: Target, paths: Sequence[Path | str]) -> list[Resource]:
        """Return what is declared for *cluster*."""
        layers = [self.together(paths)] if paths else [self.layer(path) for path in cluster.manifests]
        if not layers:
            where = f"cluster {cluster.title}" if cluster.name else "manifests"
            self.problems.append(Problem(where, 0, 0, "", "no manifests are given", "name files or folders with -f"))
        drafts = stack(layers, cluster, self.problems, self.spanning)
        check_renames(drafts, self.problems)
        declared = self.declared[cluster.name] = Declared(cluster.name, drafts, self.kinds)
        resources = []
        for key, draft in drafts.items():
            if is_elsewhere(draft, self.kinds[key[0]], cluster.name):
                continue
            self.used.update(map(id, draft.documents))
            checked = self.check(draft)
            declared.check(draft, self.problems, self.unresolved)
            check_hosts(draft, self.kinds[key[0]], cluster, self.problems)
            if checked is not None:
                resources.append(_resource(cluster.name, key, draft, checked.spec))
        return resources

    def together(self, paths: Sequence[Path | str]) -> list[Draft]:
        """Return the manifests at *paths* as one layer; a file that two of them hold counts once."""
        drafts: list[Draft] = []
        seen: set[str] = set()
        for path in paths:
            found = self.layer(path)
            if len(paths) > 1:
                real = {file: self.files.identity(file) for file in {draft.documents[0].file for draft in found}}
                found = [draft for draft in found if real[draft.documents[0].file] not in seen]
                seen.update(real.values())
            drafts += found
        return drafts

    def layer(self, path: Path | str) -> list[Draft]:
        """Return the manifests at *path*; read once, however many clusters take it."""
        name = str(path)
        if name not in self.layers:
            drafts = self.layers[name] = []
            before = len(self.problems)
            for text in self.files.under(path):
                documents, problems = yaml12.parse(text.data, text.file, self.limits.bounds)
                self.problems += problems
                drafts += [draft for document in documents if (draft := self.draft(document)) is not None]
            if name == STDIN and not drafts and len(self.problems) == before:
                hint = "does the command before the pipe print any?"
                self.problems.append(Problem(STDIN_NAME, 0, 0, "", "no manifests found", hint))
        return self.layers[name]

    def draft(self, document: Document) -> Draft | None:
        """Return the manifest that *document* is; None where it cannot even be told apart from others."""
        value = document.value
        if value is None:  # nothing between two lines of ---
            return None
        draft = Draft(value, (document,))
        if not self.envelope.check(value):
            self.note(draft, self.envelope, value, ())
            identity = _identity(value, self.kinds)
            if identity is None:
                return None
            draft = Draft(identity, (document,))
        if len(value["metadata"]) > 1:
            check_clusters(draft, self.clusters, self.problems)
        return draft

    def note(self, draft: Draft, validator: Validator, value: Any, prefix: yaml12.Path) -> None:
        """Add what *validator* finds wrong with *value*, unless YAML itself was at fault there already."""
        if len(self.problems) > _MOST_PROBLEMS:
            return
        faults = [fault for document in draft.documents for fault in document.faults]
        for finding in validator.explain(value):
            path = prefix + finding.path
            if not any(path[: len(fault)] == fault or fault[: len(path)] == path for fault in faults):
                self.problems.append(draft.problem(path, finding.message, finding.hint))

    def check(self, draft: Draft) -> _Checked | None:
        """Hold *draft* against its kind; None where something is wrong. Clusters that share it share the work."""
        key = tuple(map(id, draft.documents))
        if key in self.checked:
            return self.checked[key]
        kind = self.kinds[draft.value["kind"]]
        spec = draft.value.get("spec", {})
        before = len(self.problems)
        if len(draft.value["metadata"]) > 1:
            check_metadata(draft, kind, self.problems)
        if kind.traits.spans:
            check_places(draft, kind, self.clusters, self.problems)
        if not kind.validator.check(spec):
            self.note(draft, kind.validator, spec, ("spec",))
            return None
        if len(self.problems) > before:
            return None
        canonical = normalize.canonical(kind, spec)
        checked = self.checked[key] = _Checked(canonical, tuple(warnings_of(draft, kind, canonical)))
        return checked


def _identity(value: Any, kinds: Mapping[str, Kind]) -> dict[str, Any] | None:
    """Return what can be trusted of a manifest with a broken envelope; None where it has no kind, name or spec."""
    if not isinstance(value, dict) or not isinstance(value.get("metadata"), dict):
        return None
    kind, metadata, spec = value.get("kind"), value["metadata"], value.get("spec", {})
    if not isinstance(kind, str) or kind not in kinds or not isinstance(spec, dict):
        return None
    if not isinstance(metadata.get("name"), str):
        return None
    kept = {"name": metadata["name"]}
    if isinstance(metadata.get("cluster"), str):
        kept["cluster"] = metadata["cluster"]
    return {"kind": kind, "metadata": kept, "spec": spec}


def _resource(cluster: str, key: Key, draft: Draft, spec: Mapping[str, Any]) -> Resource:
    metadata = draft.value["metadata"]
    return Resource(
        Address(cluster, *key),
        spec,
        metadata.get("state") == "absent",
        metadata.get("protect"),
        metadata.get("renamedFrom"),
        tuple(metadata.get("ignore", ())),
        metadata.get("labels", {}),
        draft.locate,
        source=(draft.documents[0].file, draft.documents[0].line),
        suspended=metadata.get("suspend", False),
        allow=tuple(sorted(metadata.get("allow", ()))),
        freeze=tuple(window_of(one, lambda word, message: None) for one in metadata.get("freeze", ())),
    )
