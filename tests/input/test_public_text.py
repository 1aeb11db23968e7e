"""Public text, such as certificates: nothing that is a secret can be read as such, however it is named."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from reconciler import settings
from reconciler.errors import InputError

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAcanary\n-----END OPENSSH PRIVATE KEY-----\n"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIU\n-----END CERTIFICATE-----"
PROJECT = """\
apiVersion: reconciler/v1
clusters:
  - name: dev
    urls: [https://dev.example]
    username: ops
    password: {valueFrom: {file: logins/password}}
    manifests: [base]
source:
  url: ssh://git@git.example/shop.git
  ssh: {key: logins/ssh-key, knownHosts: known}
agent:
  listen: {token: {valueFrom: {env: TOKEN}}, certificate: tls/cert.pem, key: tls/key.pem}
  webhook: {github: {secret: {valueFrom: {env: HOOK}}}}
  notify: {to: [{type: slack, url: {valueFrom: {file: logins/slack}}}]}
secrets: {files: secrets, env: [DB_*]}
public: {env: [LICENCE, DB_LICENCE, DB_PUB*, TOKEN]}
"""
SECRETS = {
    "logins/password": "canary-login-1",
    "logins/ssh-key": KEY,
    "logins/slack": "https://hooks.example/canary-slack",
    "tls/key.pem": KEY.replace("OPENSSH ", "").replace("BlbnN", "other"),
    "secrets/db": "canary-database",
    "secrets/unused": "canary-unused",
}
ENVIRON = {
    "TOKEN": "canary-token-1",
    "HOOK": "canary-hook-1",
    "DB_PASSWORD": "canary-variable",
    "DB_LICENCE": "a licence",
    "LICENCE": "another licence\n",
    "DB_PUBLIC": "canary-listed-twice",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {**SECRETS, "public/cert.pem": f"{CERTIFICATE}\n", "tls/cert.pem": CERTIFICATE}.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    (tmp_path / "reconciler.yaml").write_text(PROJECT)
    return tmp_path


def text(folder: Path, **value_from: str) -> str:
    return settings.load(folder / "reconciler.yaml", ENVIRON).public.fresh().text(value_from)


def refused(folder: Path, **value_from: str) -> str:
    with pytest.raises(InputError) as caught:
        text(folder, **value_from)
    said = str(caught.value)
    assert "canary" not in said
    return said


def test_a_file_in_its_folder_and_a_listed_variable_are_read(folder: Path) -> None:
    assert text(folder, file="cert.pem") == CERTIFICATE
    assert text(folder, env="LICENCE") == "another licence"
    assert text(folder, env="DB_LICENCE") == "a licence"


def test_a_byte_order_mark_is_no_part_of_public_text(folder: Path) -> None:
    (folder / "public" / "metadata.xml").write_bytes(b"\xef\xbb\xbf<EntityDescriptor/>\r\n")
    assert text(folder, file="metadata.xml") == "<EntityDescriptor/>"


@pytest.mark.parametrize("name", [*SECRETS, "tls/cert.pem", "reconciler.yaml"])
@pytest.mark.parametrize("way", ["../{}", "{folder}/{}", "./../public/../{}"])
def test_nothing_outside_the_folder_is_read(folder: Path, name: str, way: str) -> None:
    said = refused(folder, file=way.format(name, folder=folder))
    assert "is outside the folder of public text (public text is read below " in said


@pytest.mark.parametrize("name", SECRETS)
def test_a_symbolic_link_does_not_lead_out_of_the_folder(folder: Path, name: str) -> None:
    (folder / "public" / "link").symlink_to(folder / name)
    (folder / "public" / "below").symlink_to((folder / name).parent)
    assert "is outside" in refused(folder, file="link")
    assert "is outside" in refused(folder, file=f"below/{Path(name).name}")


@pytest.mark.parametrize("name", SECRETS)
def test_a_hard_link_to_a_secret_is_refused(folder: Path, name: str) -> None:
    (folder / "public" / "link").hardlink_to(folder / name)
    said = refused(folder, file="link")
    assert ("is a credential of this project" in said) or ("is a link to a secret file" in said)


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("form", ["{}", "before {} after", "{}\n\n", "<x>{}</x>"])
def test_a_copy_of_a_secret_is_refused(folder: Path, name: str, form: str) -> None:
    (folder / "public" / "copy").write_text(form.format(SECRETS[name]))
    assert "a private key" in (said := refused(folder, file="copy")) or "is a secret, or contains one" in said


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode, lambda data: data.hex().encode()])
def test_an_encoded_copy_of_a_secret_is_refused(folder: Path, encode: object) -> None:
    (folder / "public" / "copy").write_bytes(encode(b"x" + SECRETS["secrets/db"].encode()))  # type: ignore[operator]
    assert "contains one" in refused(folder, file="copy")


def test_a_private_key_that_nobody_knows_is_refused(folder: Path) -> None:
    (folder / "public" / "bundle").write_text(CERTIFICATE + "\n" + KEY.replace("b3Blb", "other"))
    assert "contains a private key" in refused(folder, file="bundle")


@pytest.mark.parametrize("name", ["TOKEN", "HOOK", "DB_PASSWORD", "DB_PUBLIC", "PATH", "NOTHING"])
def test_a_variable_that_is_a_credential_or_not_listed_is_refused(folder: Path, name: str) -> None:
    said = refused(folder, env=name)
    assert f"environment variable {name}: " in said


@pytest.mark.parametrize("name", sorted(ENVIRON.keys() - {"LICENCE", "DB_LICENCE"}))
def test_the_value_of_a_secret_variable_is_refused_in_a_file(folder: Path, name: str) -> None:
    (folder / "public" / "copy").write_text(f"see {ENVIRON[name]}")
    assert "contains one" in refused(folder, file="copy")


def test_a_secret_that_was_resolved_for_something_else_is_refused(folder: Path) -> None:
    found = settings.load(folder / "reconciler.yaml", {**ENVIRON, "DB_NEW": "canary-of-later"})
    (folder / "public" / "copy").write_text("canary-of-later")
    with pytest.raises(InputError, match="is a secret, or contains one"):
        found.public.fresh().text({"file": "copy"})


def test_without_settings_the_folder_is_called_public(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "a.pem").write_text(CERTIFICATE)
    (tmp_path / "b.pem").write_text(CERTIFICATE)
    found = settings.load(None, {"REDIS_ENTERPRISE_PASSWORD": "canary-9182"}).public.fresh()
    assert found.text({"file": "a.pem"}) == CERTIFICATE
    with pytest.raises(InputError) as caught:
        found.text({"file": "b.pem"})
    place = tmp_path / "public"
    assert f"file b.pem: not found (there is no {place / 'b.pem'}; public text is read below {place};" in str(
        caught.value
    )
    (tmp_path / "public" / "copy").write_text("canary-9182")
    with pytest.raises(InputError, match="contains one"):
        settings.load(None, {"REDIS_ENTERPRISE_PASSWORD": "canary-9182"}).public.fresh().text({"file": "copy"})


def test_what_is_no_text_file_has_a_message_of_its_own(folder: Path) -> None:
    public = folder / "public"
    (public / "folder").mkdir()
    (public / "empty").write_text("\n")
    (public / "der").write_bytes(b"\x30\x82\xff")
    (public / "large").write_bytes(b"x" * (1024 * 1024 + 1))
    os.mkfifo(public / "pipe")
    expected = {
        "folder": "is a folder",
        "empty": "is empty",
        "der": "is not UTF-8 text",
        "large": "is larger than 1024 KiB",
        "pipe": "is not a regular file",
        "a\0b": "NUL",
    }
    assert {name: words for name, words in expected.items() if words not in refused(folder, file=name)} == {}
