"""YAML to resources: what is declared for each cluster, validated, in canonical form, with locations.

Called by `reconcile` and by `validate`. Reads files, or the files of a revision (`FileTree`), and nothing else; must
not know live state. All problems are collected and raised once, in reading order.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from reconciler import yaml12
from reconciler.diff import normalize
from reconciler.errors import InputError, Problem
from reconciler.kinds import Kind, envelope_validator
from reconciler.kinds.validation import Validator
from reconciler.manifests.checks import check_metadata, check_ratios, check_renames, check_unique, warnings_of
from reconciler.manifests.file_tree import FileTree, TreeFiles
from reconciler.manifests.files import STDIN, STDIN_NAME, Files, LimitExceeded
from reconciler.manifests.hosts import check_hosts
from reconciler.manifests.layers import Manifest, check_clusters, merge_layers
from reconciler.manifests.multicluster import check_member_clusters, check_member_conflicts, is_coordinated_elsewhere
from reconciler.manifests.references import DeclaredManifests, check_cross_cluster
from reconciler.manifests.resource import Manifests, Resource, resource_of
from reconciler.settings import ProjectLimits, Target
from reconciler.yaml12 import Document

_MOST_PROBLEMS = 1_000
_ANYWHERE = Target(name="", urls=(), username="", password={})  # if no cluster is configured; sufficient for validation


class _Checked(NamedTuple):
    """The result of validation, shared by the clusters of a manifest."""

    spec: Mapping[str, Any]
    warnings: tuple[Problem, ...]


def load(
    paths: Sequence[Path | str],
    kinds: Mapping[str, Kind],
    *,
    clusters: Sequence[Target] = (),
    limits: ProjectLimits | None = None,
    stdin: BinaryIO | None = None,
    tree: FileTree | None = None,
) -> Manifests:
    """Return what is declared for *clusters* (all that are configured).

    *paths* are files, folders, or `-` for standard input; combined they are one layer of every cluster. Without any,
    each cluster has the layers of its own configuration. With *tree* all of them are names in it, and the file system
    is not read. Raises InputError with every problem.
    """
    collecting = gc.isenabled()
    gc.disable()  # none of the many small values created here is garbage
    try:
        return _Loader(kinds, clusters or (_ANYWHERE,), limits or ProjectLimits(), stdin, tree).load(paths)
    finally:
        if collecting:
            gc.enable()


class _Loader:
    def __init__(
        self,
        kinds: Mapping[str, Kind],
        clusters: Sequence[Target],
        limits: ProjectLimits,
        stdin: BinaryIO | None,
        tree: FileTree | None,
    ) -> None:
        self.kinds = kinds
        self.clusters = clusters
        self.limits = limits
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.used: set[int] = set()  # ids of documents that apply to a cluster
        self.unresolved: list[tuple[Problem, bool]] = []  # and whether a declared name is similar
        self.files = Files(limits, self.problems, stdin) if tree is None else TreeFiles(tree, limits, self.problems)
        self.layers: dict[str, list[Manifest]] = {}
        self.checked: dict[tuple[int, ...], _Checked] = {}
        self.envelope = envelope_validator()
        self.multi_cluster = frozenset(name for name, kind in kinds.items() if kind.traits.multi_cluster)
        self.declared: dict[str, DeclaredManifests] = {}

    def load(self, paths: Sequence[Path | str]) -> Manifests:
        resources: list[Resource] = []
        try:
            for cluster in self.clusters:
                resources += self.cluster(cluster, paths)
            check_cross_cluster(self.declared, self.problems, self.unresolved)
            check_member_conflicts(self.declared, self.kinds, self.problems)
            check_unique(resources, self.kinds, self.problems)
            self.check_unused()
        except LimitExceeded:
            pass
        if self.problems:
            raise InputError(self.refusal())
        self.warnings += [warning for checked in self.checked.values() for warning in checked.warnings]
        unresolved = self.sorted(problem for problem, _ in self.unresolved)
        return Manifests(tuple(resources), tuple(unresolved), tuple(self.sorted(self.warnings)))

    def check_unused(self) -> None:
        """Validate manifests that apply to no cluster, too, and warn about them."""
        for manifest in (manifest for layer in self.layers.values() for manifest in layer):
            if id(manifest.documents[0]) not in self.used:
                self.check(manifest)
                message = "does not apply to any cluster with this layer of manifests"
                self.warnings.append(manifest.problem(("metadata",), message, "compare with the project file"))

    def refusal(self) -> list[Problem]:
        """Return the problems to raise, with references to undeclared names that are similar to a declared one."""
        problems = self.sorted([*self.problems, *(problem for problem, near in self.unresolved if near)])
        if len(problems) > _MOST_PROBLEMS:
            problems[_MOST_PROBLEMS:] = [Problem("manifests", 0, 0, "", "too many problems; the rest is not shown")]
        return problems

    def sorted(self, problems: Iterable[Problem]) -> list[Problem]:
        """Return *problems* in reading order, each once."""
        order = self.files.order
        return sorted(dict.fromkeys(problems), key=lambda p: (order.get(p.file, -1), p.file, p.line, p.column))

    def cluster(self, cluster: Target, paths: Sequence[Path | str]) -> list[Resource]:
        """Return what is declared for *cluster*."""
        layers = [self.combined(paths)] if paths else [self.layer(path) for path in cluster.manifests]
        if not layers:
            where = f"cluster {cluster.title}" if cluster.name else "manifests"
            hint = "specify files or folders with -f"
            self.problems.append(Problem(where, 0, 0, "", "no manifests are specified", hint))
        manifests = merge_layers(layers, cluster, self.problems, self.multi_cluster)
        check_renames(manifests, self.problems)
        declared = self.declared[cluster.name] = DeclaredManifests(cluster.name, manifests, self.kinds)
        resources = []
        for key, manifest in manifests.items():
            if is_coordinated_elsewhere(manifest, self.kinds[key[0]], cluster.name):
                continue
            self.used.update(map(id, manifest.documents))
            checked = self.check(manifest)
            declared.check(manifest, self.problems, self.unresolved)
            check_hosts(manifest, self.kinds[key[0]], cluster, self.problems)
            if checked is not None:
                resources.append(resource_of(cluster.name, key, manifest, checked.spec))
        return resources

    def combined(self, paths: Sequence[Path | str]) -> list[Manifest]:
        """Return the manifests at *paths* as one layer; a file that two of them contain is read once."""
        manifests: list[Manifest] = []
        seen: set[str] = set()
        for path in paths:
            found = self.layer(path)
            if len(paths) > 1:
                real = {file: self.files.identity(file) for file in {manifest.documents[0].file for manifest in found}}
                found = [manifest for manifest in found if real[manifest.documents[0].file] not in seen]
                seen.update(real.values())
            manifests += found
        return manifests

    def layer(self, path: Path | str) -> list[Manifest]:
        """Return the manifests at *path*; read once for all clusters."""
        name = str(path)
        if name not in self.layers:
            manifests = self.layers[name] = []
            before = len(self.problems)
            for text in self.files.under(path):
                documents, problems = yaml12.parse(text.data, text.file, self.limits.parser_limits)
                self.problems += problems
                manifests += [manifest for document in documents if (manifest := self.manifest(document)) is not None]
            if name == STDIN and not manifests and len(self.problems) == before:
                hint = "check the output of the command before the pipe"
                self.problems.append(Problem(STDIN_NAME, 0, 0, "", "no manifests found", hint))
        return self.layers[name]

    def manifest(self, document: Document) -> Manifest | None:
        """Return *document* as a manifest; None if it has no usable kind and name."""
        value = document.value
        if value is None:  # nothing between two lines of ---
            return None
        manifest = Manifest(value, (document,))
        if not self.envelope.check(value):
            self.note(manifest, self.envelope, value, ())
            identity = _identity(value, self.kinds)
            if identity is None:
                return None
            manifest = Manifest(identity, (document,))
        if len(value["metadata"]) > 1:
            check_clusters(manifest, self.clusters, self.problems)
        return manifest

    def note(self, manifest: Manifest, validator: Validator, value: Any, prefix: yaml12.Path) -> None:
        """Add what *validator* finds wrong with *value*, except where the YAML itself is already invalid."""
        if len(self.problems) > _MOST_PROBLEMS:
            return
        invalid = [path for document in manifest.documents for path in document.invalid_paths]
        for finding in validator.explain(value, lambda inner: manifest.written(prefix + inner)):
            path = prefix + finding.path
            if not any(path[: len(bad)] == bad or bad[: len(path)] == path for bad in invalid):
                self.problems.append(manifest.problem(path, finding.message, finding.hint))

    def check(self, manifest: Manifest) -> _Checked | None:
        """Validate *manifest* against its kind; None if something is wrong. The result is shared between clusters."""
        key = tuple(map(id, manifest.documents))
        if key in self.checked:
            return self.checked[key]
        kind = self.kinds[manifest.value["kind"]]
        spec = manifest.value.get("spec", {})
        before = len(self.problems)
        if len(manifest.value["metadata"]) > 1:
            check_metadata(manifest, kind, self.problems)
        if kind.traits.multi_cluster:
            check_member_clusters(manifest, kind, self.clusters, self.problems)
        if not kind.validator.check(spec):
            self.note(manifest, kind.validator, spec, ("spec",))
            return None
        if len(self.problems) > before:
            return None
        canonical = normalize.canonical(kind, spec)
        check_ratios(manifest, kind, canonical, self.problems)
        checked = self.checked[key] = _Checked(canonical, tuple(warnings_of(manifest, kind, canonical)))
        return checked


def _identity(value: Any, kinds: Mapping[str, Kind]) -> dict[str, Any] | None:
    """Return the valid part of a manifest with an invalid envelope; None if it has no kind, name or spec."""
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
