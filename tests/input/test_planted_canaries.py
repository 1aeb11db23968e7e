"""Every secret of the project, planted wherever a manifest can read from: no field of any kind gets it, or shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler import settings
from reconciler.errors import InputError, SecretMissing
from reconciler.kinds import Field, load_kinds
from reconciler.manifests import Manifests, Resource
from reconciler.manifests.resolve import resolve
from reconciler.model import Address
from reconciler.plan.secret_status import secret_statuses
from reconciler.session import Session
from tests.cli import canary

KEY = f"-----BEGIN PRIVATE KEY-----\n{canary.GIT}\n-----END PRIVATE KEY-----\n"
PROJECT = """\
apiVersion: reconciler/v1
clusters:
  - name: here
    urls: [https://here.example]
    username: {valueFrom: {env: ACCOUNT}}
    password: {valueFrom: {file: keys/login}}
    manifests: [base]
  - {name: there, urls: [https://there.example], username: a, password: {valueFrom: {env: LOGIN}}, manifests: [base]}
source:
  url: ssh://git@git.example/shop.git
  ssh: {key: keys/ssh-key, knownHosts: known}
agent:
  listen: {token: {valueFrom: {env: TOKEN}}, certificate: cert.pem, key: keys/tls.key}
  webhook: {generic: {secret: {valueFrom: {env: HOOK}}}}
  notify:
    to:
      - {type: webhook, url: {valueFrom: {file: keys/notify}}, secret: {valueFrom: {env: SIGN}}}
"""
FILES = {"login": canary.LOGIN, "ssh-key": KEY, "tls.key": KEY, "notify": f"https://x.example/{canary.NOTIFY}"}
ENVIRON = {
    "ACCOUNT": "somebody@example.com",
    "LOGIN": canary.ANA,
    "TOKEN": canary.TOKEN,
    "HOOK": canary.HOOK,
    "SIGN": canary.SIGN,
    "UNLISTED": canary.BOB,
}
LISTS = {"": "", "secrets": "secrets: {files: manifests, env: [DB_*]}\n", "everything": "public: {env: ['*']}\n"}


@pytest.fixture(params=LISTS)
def session(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Session]:
    for folder in ("keys", "public", "manifests"):
        (tmp_path / folder).mkdir()
    for name, text in FILES.items():
        source = tmp_path / "keys" / name
        source.write_text(text)
        source.chmod(0o600)
        for folder in (tmp_path, tmp_path / "public", tmp_path / "manifests"):
            (folder / f"soft-{name}").symlink_to(source)
            (folder / f"hard-{name}").hardlink_to(source)
            (folder / f"copy-{name}").write_text(f"{text}\n")
            (folder / f"text-{name}").write_text(f"<x>{text}</x>")
    (tmp_path / "reconciler.yaml").write_text(PROJECT + LISTS[request.param])
    loaded = settings.load(tmp_path / "reconciler.yaml", ENVIRON, {"unattended": True})
    with Session(loaded, loaded.targets) as session:
        yield session


def sources(session: Session) -> Iterator[dict[str, str]]:
    """Yield every way to name a secret of the project."""
    root = session.settings.root.resolve()
    for name in FILES:
        for folder in (
            "",
            "keys/",
            "public/",
            "manifests/",
            "../",
            "../keys/",
            f"{root}/",
            f"{root}/keys/",
            "../public/",
        ):
            yield from ({"file": f"{folder}{prefix}{name}"} for prefix in ("", "soft-", "hard-", "copy-", "text-"))
    yield from ({"env": name} for name in ENVIRON if name != "UNLISTED")


def marked(field: Field, steps: tuple[str, ...], word: str) -> Iterator[tuple[str, ...]]:
    """Yield the path of each field below that is marked; a list is marked by []."""
    if getattr(field.access, word):
        yield steps
    if field.items is not None:
        yield from marked(field.items, (*steps, "[]"), word)
    for name, below in field.properties.items():
        yield from marked(below, (*steps, name), word)


def places(word: str) -> list[tuple[str, tuple[str, ...]]]:
    kinds = load_kinds().items()
    return [
        (kind, path)
        for kind, one in kinds
        for name, field in one.fields.items()
        for path in marked(field, (name,), word)
    ]


def declared(kind: str, path: tuple[str, ...], value: Any) -> Resource:
    for step in reversed(path):
        value = [value] if step == "[]" else {step: value}
    place = ("shop.yaml", 1, 1)
    return Resource(Address("here", kind, "a"), value, False, False, None, (), {}, lambda _: place)  # type: ignore[arg-type]


def planted(session: Session, kind: str, path: tuple[str, ...]) -> Iterator[tuple[Mapping[str, str], Resource]]:
    for source in sources(session):
        yield source, declared(kind, path, {"valueFrom": source})


def outcome(session: Session, resource: Resource) -> str:
    """Return why *resource* cannot be resolved, "" if it can."""
    try:
        resolve(load_kinds(), Manifests((resource,)), session.public_text, session.reveal, session.now)
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("kind", "path"), places("from_file"))
def test_no_field_for_public_text_shows_a_secret(session: Session, kind: str, path: tuple[str, ...]) -> None:
    for source, resource in planted(session, kind, path):
        said = outcome(session, resource)
        assert said, f"{source} was read"
        assert canary.found_in(said.encode()) == [], source


@pytest.mark.parametrize(("kind", "path"), [*places("secret"), *places("embeds_secret")])
def test_no_secret_field_gets_a_credential_of_the_project(session: Session, kind: str, path: tuple[str, ...]) -> None:
    for source, resource in planted(session, kind, path):
        if any(word in source.get("file", "") for word in ("copy-", "text-", "hard-")):
            continue  # what the operator puts into the folder of secrets may be sent; it is never shown
        why: dict[Any, Any] = {}
        statuses = secret_statuses(load_kinds(), [resource], session.reveal, None, why)
        assert set(statuses.values()) <= {"missing"}, source  # none: an option, which is looked up when it is sent
        assert canary.found_in(" ".join(map(str, why.values())).encode()) == [], source
        with pytest.raises(SecretMissing):
            session.reveal(source)


@pytest.mark.parametrize(("kind", "path"), [*places("secret"), *places("embeds_secret")])
def test_a_secret_of_any_field_cannot_be_read_as_public_text(
    session: Session, kind: str, path: tuple[str, ...]
) -> None:
    root = session.settings.root
    folder = session.settings.sources.files or root
    (folder / "own").write_text(canary.BACKUP)
    (root / "public" / "own").write_text(f"<x>{canary.BACKUP}</x>")
    secret = declared(kind, path, {"valueFrom": {"file": "own"}})
    public = declared("SSO", ("idp_metadata",), {"valueFrom": {"file": "own"}})
    with pytest.raises(InputError, match="is a secret, or contains one") as caught:
        resolve(load_kinds(), Manifests((public, secret)), session.public_text, session.reveal, session.now)
    assert canary.found_in(str(caught.value).encode()) == []
