"""The project file, the environment and the flags, combined into one value.

Called once by each command. Nothing else reads the environment, and nothing else defines where a cluster is or how to
log in: manifests can only name a cluster. Must not know kinds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import reconciler.settings.project as project_file
from reconciler.errors import InputError, Problem
from reconciler.kinds.freeze import Window
from reconciler.secrets import PublicSources, Redactor, Secret, Sources, resolve
from reconciler.settings.agent import Agent
from reconciler.settings.cluster_selector import is_address, select
from reconciler.settings.listen import Listen, Notify
from reconciler.settings.source import FolderSource, GitSource
from reconciler.settings.target import ProjectLimits, ReportProblem, Target, node_url, pin

PROJECT_FILE = "reconciler.yaml"


@dataclass(frozen=True, slots=True)
class Settings:
    """The configuration of one run."""

    root: Path  # the project file's folder; else the current one
    project: Path | None
    targets: tuple[Target, ...]  # every cluster, in the order of the project file
    selected: tuple[Target, ...]  # those of this run
    limits: ProjectLimits
    state_dir: Path
    sources: Sources  # of secrets that manifests name
    login_sources: Sources  # of credentials that the project file names
    public: PublicSources  # of public text that manifests name
    source: GitSource | FolderSource | None = None  # where the agent takes manifests from
    warnings: tuple[str, ...] = ()
    agent: Agent = field(default_factory=Agent)
    listen: Listen = field(default_factory=Listen)
    notify: Notify = field(default_factory=Notify)
    ci: bool = False  # runs in a CI job

    @property
    def redactor(self) -> Redactor:
        """The redactor of every secret that this run resolved."""
        return self.sources.redactor

    @property
    def allowed_impacts(self) -> Mapping[str, tuple[str, ...]]:
        """The impacts that manifests may consent to, by cluster."""
        return {target.name: target.allowed_impacts for target in self.targets}

    @property
    def freeze_windows(self) -> Mapping[str, tuple[Window, ...]]:
        """When nothing may be written, by cluster."""
        return {target.name: target.agent_policy.freeze for target in self.targets}

    def reachable(self) -> tuple[Target, ...]:
        """Return the clusters of this run; raises InputError if there are none."""
        if self.selected:
            return self.selected
        hint = f"write {PROJECT_FILE}, or set {project_file.URL}, {project_file.USER} and {project_file.PASSWORD}"
        raise InputError([Problem("settings", 0, 0, "", "no cluster is configured", hint)])

    def credentials(self, target: Target) -> tuple[str, Secret]:
        """Return user name and password of *target*, "" for a login by certificate; raises SecretMissing."""
        where = f"cluster {target.title}"
        username = target.username
        if not isinstance(username, str):
            username = resolve(username, replace(self.login_sources, redactor=Redactor()), where=where).reveal()
        if target.login == "certificate":
            self._check_key(target)
            return username, Secret("")
        return username, resolve(target.password, self.login_sources, where=where)

    def _check_key(self, target: Target) -> None:
        """Warn where others can use the private key of *target*."""
        key = target.client_key
        if key is not None and key.is_file() and key.stat().st_mode & 0o007:
            self.login_sources.warn(f"the client key {key} can be used by every user of this machine: run chmod 600")

    def reveal(self, reference: Mapping[str, Any], where: str) -> Secret:
        """Return a secret of the project file itself, such as a token; raises SecretMissing."""
        return resolve(reference, self.login_sources, where=where)


def load(
    project: Path | None,
    environ: Mapping[str, str],
    flags: Mapping[str, Any] | None = None,
    *,
    redactor: Redactor | None = None,
    warn: Callable[[str], None] = lambda text: None,
) -> Settings:
    """Return the settings of a run; raises InputError with everything that is wrong with them.

    Without *project*, `reconciler.yaml` is searched in the current folder and its parents; if there is none, the
    environment configures one cluster, or none. *flags*: clusters, excludes, urls, ca_cert, pin, insecure, state_dir,
    and unattended, which the agent sets.
    """
    flags = {name: value for name, value in (flags or {}).items() if value}
    problems: list[Problem] = []
    path = project or find_project(Path.cwd())
    if path:
        parsed = project_file.read(path, problems)
    else:
        urls = {project_file.URL: ",".join(flags["urls"])} if "urls" in flags else {}
        parsed = project_file.from_environment({**environ, **urls}, problems)
    if problems:
        raise InputError(problems)
    excluded = [text for text in flags.get("excludes", ()) if not is_address(text)]
    chosen_by = flags.get("clusters", ())
    selected = select(parsed.targets, chosen_by, excluded, problems) if chosen_by or excluded else parsed.targets
    selected = _with_flags(selected, flags, problems)
    selected, warnings = _tls_verification(selected, bool(flags.get("insecure")), problems)
    if problems:
        raise InputError(problems)
    root = path.parent if path else Path()
    chosen = {target.name: target for target in selected}
    ci = environ.get("CI", "").lower() in ("true", "1")
    state_dir = Path(flags.get("state_dir") or parsed.state or root / ".reconciler")
    logins = Sources(environ, None, relative_to=root, redactor=redactor or Redactor(), warn=warn)
    unattended = ci or bool(flags.get("unattended"))
    secrets, public = parsed.readable.sources(logins, root, state_dir, unattended=unattended)
    return Settings(
        root=root,
        project=path,
        targets=tuple(chosen.get(target.name, replace(target, insecure=False)) for target in parsed.targets),
        selected=selected,
        limits=parsed.limits,
        state_dir=state_dir,
        sources=secrets,
        login_sources=logins,
        public=public,
        source=parsed.source,
        warnings=warnings,
        agent=parsed.agent,
        listen=parsed.listen,
        notify=parsed.notify,
        ci=ci,
    )


def find_project(start: Path) -> Path | None:
    """Return the project file in *start* or its nearest parent, not above the git repository.

    Above *start*, a file of another user is ignored: it would choose the clusters.
    """
    for folder in (start, *start.parents):
        path = folder / PROJECT_FILE
        if path.is_file() and (folder == start or path.stat().st_uid in (os.getuid(), 0)):
            return Path(PROJECT_FILE) if folder == start == Path.cwd() else path
        if (folder / ".git").exists():
            break
    return None


def _with_flags(targets: tuple[Target, ...], flags: Mapping[str, Any], problems: list[Problem]) -> tuple[Target, ...]:
    """Apply the flags for the URL and the trust of the single cluster."""

    def report(flag: str) -> ReportProblem:
        return lambda message, hint: problems.append(Problem(flag, 0, 0, "", message, hint))

    given = {flag: flags[name] for flag, name in _FLAGS.items() if name in flags}
    if len(targets) != 1:
        for flag in given:
            report(flag)(f"applies to one cluster, but the selected number is {len(targets)}", "add --cluster NAME")
        return targets
    target = targets[0]
    if "--url" in given:
        urls = [node_url(url, report("--url")) for url in given["--url"]]
        target = replace(target, urls=tuple(url for url in urls if url))
    if "--ca-cert" in given:
        target = replace(target, ca_cert=Path(given["--ca-cert"]), pin=None)
    if "--pin" in given:
        target = replace(target, pin=pin(given["--pin"], report("--pin")))
    return (target,)


_FLAGS = {"--url": "urls", "--ca-cert": "ca_cert", "--pin": "pin"}


def _tls_verification(
    targets: tuple[Target, ...], asked: bool, problems: list[Problem]
) -> tuple[tuple[Target, ...], tuple[str, ...]]:
    """Disable TLS verification only if both configuration and flag request it, with a warning."""
    warnings = []
    for target in targets:
        if target.insecure and asked:
            warnings.append(f"cluster {target.title}: certificates are NOT verified; traffic can be read and modified")
        elif target.insecure:
            warnings.append(
                f"cluster {target.title}: certificates are verified; insecure only takes effect with --insecure"
            )
        elif asked:
            where = "insecure: true in the project file" if target.name else f"{project_file.INSECURE}=true"
            message = f"is not enabled in the configuration of cluster {target.title}"
            problems.append(Problem("--insecure", 0, 0, "", message, f"set {where} as well"))
    return tuple(replace(target, insecure=target.insecure and asked) for target in targets), tuple(warnings)
