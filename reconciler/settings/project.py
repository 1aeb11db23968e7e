"""`reconciler.yaml` and the environment variables of a single cluster, read and checked.

Called by `settings` only, which applies the flags. Every problem is added to a list with its location.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from reconciler import yaml12
from reconciler.errors import Problem
from reconciler.kinds.freeze import HINT, is_cron
from reconciler.kinds.quantities import quantity
from reconciler.kinds.validation import Validator
from reconciler.kinds.vocabulary import CONSENT
from reconciler.settings import source
from reconciler.settings.agent import PER_CLUSTER_KEYS, Agent, AgentPolicy, agent_of, agent_policy_of
from reconciler.settings.listen import Listen, Notify, read_listen, read_notify
from reconciler.settings.readable import Credential, Readable, readable
from reconciler.settings.target import DEFAULT_ALLOWED_IMPACTS, ProjectLimits, ReportProblem, Target, node_url, pin

LARGEST = 1024 * 1024

URL, USER, PASSWORD = "REDIS_ENTERPRISE_URL", "REDIS_ENTERPRISE_USER", "REDIS_ENTERPRISE_PASSWORD"
CA_CERT, INSECURE = "REDIS_ENTERPRISE_CA_CERT", "REDIS_ENTERPRISE_INSECURE"
CLIENT_CERT, CLIENT_KEY = "REDIS_ENTERPRISE_CLIENT_CERT", "REDIS_ENTERPRISE_CLIENT_KEY"
LOGIN, LOGINS = "REDIS_ENTERPRISE_LOGIN", ("basic", "jwt", "certificate")
SECRETS_ENV = "REDIS_ENTERPRISE_SECRETS_ENV"


class Parsed(NamedTuple):
    """The content of a project file, or of the environment."""

    targets: tuple[Target, ...]
    limits: ProjectLimits = ProjectLimits()
    state: Path | None = None
    readable: Readable = Readable()
    source: source.GitSource | source.FolderSource | None = None
    agent: Agent = Agent()
    listen: Listen = Listen()
    notify: Notify = Notify()


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a project file."""
    package = Path(__file__).parent.parent
    inside = package / "schemas"
    folder = inside if inside.is_dir() else package.parent / "schemas"
    loaded: dict[str, Any] = json.loads((folder / "meta" / "project.json").read_bytes())
    resolved: dict[str, Any] = _resolved(loaded, loaded)
    return resolved


def _resolved(part: Any, whole: Mapping[str, Any]) -> Any:
    """Return *part* with each `$ref` replaced by its target: the validator follows no references."""
    if isinstance(part, list):
        return [_resolved(item, whole) for item in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        found: Any = whole
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        return _resolved(found, whole)
    return {word: _resolved(value, whole) for word, value in part.items()}


def merged(base: Any, patch: Any) -> Any:
    """Return *patch* merged over *base* by RFC 7386; null, and any value that is not an object, replaces."""
    if not (isinstance(base, Mapping) and isinstance(patch, Mapping)):
        return patch
    return {**base, **{name: merged(base.get(name), value) for name, value in patch.items()}}


def read(path: Path, problems: list[Problem]) -> Parsed:
    """Read the project file at *path*."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        reason = (error.strerror or "error").lower()
        problems.append(Problem(str(path), 0, 0, "", f"cannot be read: {reason}", "check --project"))
        return Parsed(())
    documents, found = yaml12.parse(data, str(path), yaml12.ParserLimits(size=LARGEST))
    documents = [document for document in documents if document.value is not None]
    if len(documents) != 1 and not found:
        found.append(
            Problem(str(path), 0, 0, "", f"a project file must have exactly one document, got {len(documents)}")
        )
    for document in documents[:1]:
        for finding in Validator(schema()).findings(document.value, document.written):
            where = yaml12.path_text(finding.path)
            found.append(Problem(*document.locate(finding.path), where, finding.message, finding.hint))
    if found:
        problems.extend(sorted(found, key=lambda problem: (problem.line, problem.column)))
        return Parsed(())
    return _ProjectReader(documents[0], path.parent, problems).parsed()


class _ProjectReader:
    """Converts a document that matches the schema into values."""

    def __init__(self, document: yaml12.Document, root: Path, problems: list[Problem]) -> None:
        self.document = document
        self.root = root
        self.problems = problems

    def report(self, path: yaml12.Path, message: str, hint: str = "") -> None:
        where = yaml12.path_text(path)
        problem = Problem(*self.document.locate(path), where, message, hint)
        if problem not in self.problems:  # a value that many clusters inherit is reported once
            self.problems.append(problem)

    def at(self, path: yaml12.Path) -> ReportProblem:
        return lambda message, hint: self.report(path, message, hint)

    def parsed(self) -> Parsed:
        value: Mapping[str, Any] = self.document.value
        targets = [
            self.target(index, self.layered(index, value, cluster)) for index, cluster in enumerate(value["clusters"])
        ]
        seen: dict[str, int] = {}
        for index, target in enumerate(targets):
            if target.name in seen:
                line, _ = self.document.place(("clusters", seen[target.name]))
                message = f'cluster "{target.name}" is duplicated'
                self.report(("clusters", index, "name"), message, f"first defined on line {line}")
            seen.setdefault(target.name, index)
        agent = value.get("agent", {})

        def report(path: yaml12.Path, message: str, hint: str) -> None:
            self.report(("agent", *path), message, hint)

        return Parsed(
            tuple(targets),
            self.limits(value.get("limits", {})),
            self.root / value["state"] if "state" in value else None,
            readable(value, self.root, self.at(("public", "files"))),
            source=source.read(value["source"], self.root, self.at) if "source" in value else None,
            agent=agent_of(agent),
            listen=read_listen(agent, self.root, report),
            notify=read_notify(agent, self.root, report),
        )

    def layered(self, index: int, whole: Mapping[str, Any], own: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the keys of a cluster merged with its groups and the defaults; report missing keys."""
        defaults = whole.get("clusterDefaults", {})
        labels = {**defaults.get("labels", {}), **own.get("labels", {})}
        usual = {name: value for name, value in whole.get("agent", {}).items() if name in PER_CLUSTER_KEYS}
        found: Mapping[str, Any] = merged({"agent": usual}, defaults)
        for group in whole.get("groups", ()):
            if all(labels.get(name) == value for name, value in group["selector"].items()):
                found = merged(found, {name: value for name, value in group.items() if name != "selector"})
        found = merged(found, own)
        for way, other in (("pin", "caCert"), ("pin", "insecure")):
            if way in own and other in found and other not in own:  # its own takes precedence
                found = {name: value for name, value in found.items() if name != other}
            elif other in own and way in found and way not in own:
                found = {name: value for name, value in found.items() if name != way}
        needed = ("clientCert", "clientKey") if login_of(found) == "certificate" else ("password",)
        for name in ("username", *needed, "manifests"):
            if name not in found:
                hint = "set it here, in clusterDefaults, or in a group whose selector matches"
                self.report(("clusters", index), f"{name} is missing", hint)
        return found

    def target(self, index: int, cluster: Mapping[str, Any]) -> Target:
        here: yaml12.Path = ("clusters", index)
        urls = [node_url(url, self.at((*here, "urls", place))) for place, url in enumerate(cluster["urls"])]
        if "pin" in cluster and cluster.get("insecure"):
            self.report(
                (*here, "insecure"), "insecure has no effect because the pin is verified", "remove one of the two"
            )
        return Target(
            name=cluster["name"],
            urls=tuple(url for url in urls if url),
            username=cluster.get("username", ""),
            password=cluster.get("password", {}),
            ca_cert=self.root / cluster["caCert"] if "caCert" in cluster else None,
            pin=pin(cluster["pin"], self.at((*here, "pin"))) if "pin" in cluster else None,
            insecure=cluster.get("insecure", False),
            login=login_of(cluster),
            client_cert=self.root / cluster["clientCert"] if "clientCert" in cluster else None,
            client_key=self.root / cluster["clientKey"] if "clientKey" in cluster else None,
            labels=cluster.get("labels", {}),
            hosts=tuple(cluster["hosts"]) if "hosts" in cluster else None,
            allowed_impacts=tuple(cluster.get("allowedImpacts", DEFAULT_ALLOWED_IMPACTS)),
            manifests=tuple(self.root / folder for folder in cluster.get("manifests", ())),
            agent_policy=self.agent_policy(here, cluster["agent"]),
        )

    def agent_policy(self, here: yaml12.Path, section: Mapping[str, Any]) -> AgentPolicy:
        def report(word: str, text: str) -> None:
            mine = (*here, "agent", word)
            self.report(mine if self.document.holds(mine) else ("agent", word), text)

        policy = agent_policy_of(section, report)
        for window in policy.freeze:
            if not is_cron(window.cron):
                report("freeze", f"freeze window {window.name}: {window.cron} is not a cron expression; {HINT}")
        return policy

    def limits(self, value: Mapping[str, Any]) -> ProjectLimits:
        names = {"".join(f"_{c.lower()}" if c.isupper() else c for c in name): name for name in value}
        numbers: dict[str, int] = {}
        for name, written in names.items():
            size = value[written]
            number = quantity(size.replace(" ", ""), "bytes") if isinstance(size, str) else size
            if number is None:
                self.report(("limits", written), f"{size} is not a size", "write 4MiB, or a number of bytes")
            else:
                numbers[name] = number
        return ProjectLimits(**numbers)


def login_of(cluster: Mapping[str, Any]) -> str:
    """Return how this tool logs in to *cluster*: by certificate where there is one and nothing else is said."""
    login: str = cluster.get("login", "certificate" if "clientCert" in cluster else "basic")
    return login


def _readable(environ: Mapping[str, str]) -> Readable:
    """Return what manifests may read where there is no project file."""
    listed = environ.get(SECRETS_ENV)
    return Readable(
        tuple(name.strip() for name in listed.split(",") if name.strip()) if listed is not None else None,
        credentials=(Credential({"env": USER}, user_name=True), Credential({"env": PASSWORD})),
        how_to_list=f"add its name to {SECRETS_ENV}, a list with commas",
    )


_KNOWN = frozenset((URL, USER, PASSWORD, CA_CERT, INSECURE, SECRETS_ENV, LOGIN, CLIENT_CERT, CLIENT_KEY))
_BOOLEANS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def from_environment(environ: Mapping[str, str], problems: list[Problem]) -> Parsed:
    """Return the one cluster that the environment configures, or none."""

    def report(name: str) -> ReportProblem:
        return lambda message, hint: problems.append(Problem("environment", 0, 0, name, message, hint))

    for name in sorted(environ):
        near = get_close_matches(name, _KNOWN, 1, 0.9) if name not in _KNOWN and name.startswith("REDIS_ENT") else []
        if near and near[0] not in environ:
            report(name)("is not a known variable", f'did you mean "{near[0]}"?')
    may_read = _readable(environ)
    if not environ.get(URL):
        return Parsed((), readable=may_read)
    urls = [node_url(url.strip(), report(URL)) for url in environ[URL].split(",") if url.strip()]
    word = environ.get(INSECURE, "").strip().lower()
    if word and word not in _BOOLEANS:
        report(INSECURE)(f"is {yaml12.shown(word)}", "write true or false")
    login = environ.get(LOGIN, "").strip().lower() or ("certificate" if environ.get(CLIENT_CERT) else "basic")
    if login not in LOGINS:
        report(LOGIN)(f"is {yaml12.shown(login)}", f"write {', '.join(LOGINS)}")
    for name in (CLIENT_CERT, CLIENT_KEY):
        if login == "certificate" and not environ.get(name):
            report(name)("is not set", "name a file in PEM: a login by certificate needs both")
    target = Target(
        name="",
        login=login,
        client_cert=Path(environ[CLIENT_CERT]).expanduser() if environ.get(CLIENT_CERT) else None,
        client_key=Path(environ[CLIENT_KEY]).expanduser() if environ.get(CLIENT_KEY) else None,
        urls=tuple(url for url in urls if url),
        username={"valueFrom": {"env": USER}},
        password={"valueFrom": {"env": PASSWORD}},
        ca_cert=Path(environ[CA_CERT]).expanduser() if environ.get(CA_CERT) else None,
        insecure=_BOOLEANS.get(word, False),
        allowed_impacts=CONSENT,  # no operator but the one who runs this
    )
    return Parsed((target,), readable=may_read)
