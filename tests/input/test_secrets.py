"""Secrets: where they may come from, and that nothing shows them."""

from __future__ import annotations

import base64
import copy
import html
import json
import os
import pickle
import traceback
import urllib.parse
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import SecretMissing
from reconciler.secrets import MASK, Redactor, Secret, Sources, resolve

CANARY = "pässwörd\"&<>'+/= %41\\x"


def sources(folder: Path, **environ: str) -> Sources:
    return Sources(environ, folder)


def said(value_from: dict[str, str], where: Sources) -> str:
    with pytest.raises(SecretMissing) as caught:
        resolve(value_from, where)
    return str(caught.value)


# --- a secret ----------------------------------------------------------------------------------------------------


def test_only_reveal_gives_the_value() -> None:
    secret = Secret(CANARY)
    assert secret.reveal() == CANARY
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>20}", repr([secret]), repr(Sources({}, None))]
    assert not [text for text in shown if CANARY in text or "pässw" in text]


def test_a_secret_cannot_be_written_down() -> None:
    secret = Secret(CANARY)
    for write in (pickle.dumps, json.dumps, copy.copy, copy.deepcopy, bytes, vars):
        with pytest.raises(TypeError):
            write(secret)  # type: ignore[operator]


def test_a_traceback_with_locals_does_not_show_it() -> None:
    def fails(secret: Secret) -> None:
        raise ValueError("went wrong")

    try:
        fails(Secret(CANARY))
    except ValueError as error:
        text = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert MASK in text
    assert "pässw" not in text


def test_equal_secrets_are_equal_and_cannot_be_guessed_by_hash() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    with pytest.raises(TypeError):
        hash(Secret("a"))


# --- where it comes from -----------------------------------------------------------------------------------------


def test_the_environment_gives_a_value(tmp_path: Path) -> None:
    where = sources(tmp_path, DB_PASSWORD="x y ")
    assert resolve({"valueFrom": {"env": "DB_PASSWORD"}}, where).reveal() == "x y "
    assert resolve({"env": "DB_PASSWORD"}, where).reveal() == "x y "


@pytest.mark.parametrize(("name", "message"), [("NOTHING", "is not set"), ("EMPTY", "is empty")])
def test_an_environment_variable_without_a_value_is_missing(tmp_path: Path, name: str, message: str) -> None:
    text = said({"env": name}, sources(tmp_path, EMPTY=""))
    assert text.startswith(
        f"secrets: environment variable {name}: {message} (set it" if name == "EMPTY" else "secrets:"
    )
    assert message in text


def test_only_allowed_names_are_read(tmp_path: Path) -> None:
    where = Sources({"DB_A": "1", "AWS_SECRET": "2"}, tmp_path, env=("DB_*", "ONE"))
    assert resolve({"env": "DB_A"}, where).reveal() == "1"
    assert "is set, but manifests may not read it" in said({"env": "AWS_SECRET"}, where)
    assert "is not set" in said({"env": "db_a"}, where)


def test_a_pattern_does_not_include_the_credentials_of_the_project(tmp_path: Path) -> None:
    where = Sources({"DB_LOGIN": "1"}, tmp_path, env=("DB_*",), logins=frozenset({"DB_LOGIN"}))
    assert "manifests may not read it" in said({"env": "DB_LOGIN"}, where)
    assert resolve({"env": "DB_LOGIN"}, replace(where, env=("DB_*", "DB_LOGIN"))).reveal() == "1"


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"pw", "pw"),
        (b"pw\n", "pw"),
        (b"pw\r\n", "pw"),
        (b"pw\r", "pw"),
        (b" pw\t", " pw\t"),
        (b"p\xc3\xa4", "pä"),
        (b"-----BEGIN A KEY-----\nMII\n-----END A KEY-----\n", "-----BEGIN A KEY-----\nMII\n-----END A KEY-----"),
    ],
)
def test_variables_and_files_give_a_value_without_one_line_break_at_the_end(
    tmp_path: Path, content: bytes, value: str
) -> None:
    (tmp_path / "secret").write_bytes(content)
    assert resolve({"file": "secret"}, sources(tmp_path)).reveal() == value
    assert resolve({"env": "A"}, sources(tmp_path, A=os.fsdecode(content))).reveal() == value


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"  \t\n", "has only white space"),
        (b"a\0b", "contains a NUL character"),
        (b"\xff\xfep\0w\0", "is not UTF-8 text"),
        (b"p\xe4ssword", "is not UTF-8 text"),  # Latin-1
        (b"\xed\xa0\x80", "is not UTF-8 text"),  # a lone surrogate
        (b"\xef\xbb\xbfpw", "starts with a byte order mark"),
        (b"p\x1b[0mw", "contains a control character"),
        (b"p\xc2\x85w", "contains a control character"),
        (b"pw\n\n", "has more than one line, and is not PEM text"),
        (b"p\nw", "has more than one line, and is not PEM text"),
        (b"p\rw", "has more than one line, and is not PEM text"),
        (b"x" * (64 * 1024 + 1), "is larger than 64 KiB"),
    ],
)
def test_each_unusable_value_has_a_message_of_its_own(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "secret").write_bytes(content)
    where = sources(tmp_path, A=os.fsdecode(content))
    assert said({"file": "secret"}, where).startswith(f"secrets: secret file secret: {message} (")
    assert said({"env": "A"}, where).startswith(f"secrets: environment variable A: {message} (")


@pytest.mark.parametrize("name", ["PATH", "HOME", "USER", "LANG", "TERM", "SHELL"])
def test_what_every_process_has_is_no_password(tmp_path: Path, name: str) -> None:
    (tmp_path / "copy").write_text("what anybody knows\n")
    where = sources(tmp_path, **{name: "what anybody knows", "COPY": "what anybody knows"})
    expected = f"has the same value as {name}, which is not a secret (set it to a password)"
    for value_from in ({"env": name}, {"env": "COPY"}, {"file": "copy"}):
        assert said(value_from, where).endswith(expected)
    operator = Sources(where.environ, None)  # the login of a cluster is what it is
    assert resolve({"env": "COPY"}, operator).reveal() == "what anybody knows"


@pytest.mark.parametrize(
    "name",
    ["/proc/self/environ", "/etc/passwd", "../outside", "a/../../outside", "link", "folder/outside", "\0", "..", "/"],
)
def test_a_file_outside_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").write_text("canary-of-outside")
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "folder").symlink_to(tmp_path)
    text = said({"file": name}, sources(root))
    assert "canary" not in text
    assert "outside the secrets folder" in text or "NUL" in text


@given(st.text("./ab~$\\%", max_size=20))
def test_no_name_leads_outside(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    outside = tmp_path_factory.getbasetemp() / "hypothesis-secrets"
    (outside / "root" / "a").mkdir(parents=True, exist_ok=True)
    for file in (outside / "b", outside / "ab"):
        file.write_text("canary-of-outside")
    try:
        said = resolve({"file": name}, sources(outside / "root")).reveal()
    except SecretMissing as error:
        said = str(error)
    assert "canary" not in said


def test_a_link_that_stays_inside_is_followed(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "password").write_text("pw")
    (tmp_path / "password").symlink_to("..data/password")
    assert resolve({"file": "password"}, sources(tmp_path)).reveal() == "pw"


def test_a_folder_or_a_pipe_is_no_secret(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    assert "is not a regular file" in said({"file": "pipe"}, sources(tmp_path))
    assert "secret file folder: is a folder" in said({"file": "folder"}, sources(tmp_path))
    hint = f"(there is no {tmp_path / 'nothing'}; paths are relative to {tmp_path})"
    assert said({"file": "nothing"}, sources(tmp_path)) == f"secrets: secret file nothing: not found {hint}"
    assert "cannot be read: file name too long" in said({"file": "x" * 300}, sources(tmp_path))


def test_a_file_that_everybody_can_read_warns(tmp_path: Path) -> None:
    warnings: list[str] = []
    path = tmp_path / "secret"
    path.write_text("pw")
    where = Sources({}, tmp_path, warn=warnings.append)
    path.chmod(0o600)
    resolve({"file": "secret"}, where)
    assert warnings == []
    path.chmod(0o644)
    resolve({"file": "secret"}, where)
    assert warnings == ["secret file secret can be read by every user of this machine: run chmod o-r"]


def test_what_is_looked_up_is_masked_from_then_on(tmp_path: Path) -> None:
    where = sources(tmp_path, A="correct horse")
    resolve({"env": "A"}, where)
    assert where.redactor.redact("it is correct horse!") == f"it is {MASK}!"


# --- redaction ---------------------------------------------------------------------------------------------------

FORMS = {
    "raw": lambda s: s,
    "json": json.dumps,
    "json-unicode": lambda s: json.dumps(s, ensure_ascii=False),
    "json-twice": lambda s: json.dumps({"body": s}),
    "url": lambda s: urllib.parse.quote(s, safe=""),
    "url-path": urllib.parse.quote,
    "url-plus": urllib.parse.quote_plus,
    "html": html.escape,
    "hex": lambda s: s.encode().hex(),
    "hex-upper": lambda s: s.encode().hex().upper(),
    "repr": repr,
    "ascii": ascii,
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64-url": lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
    "basic": lambda s: "Basic " + base64.b64encode(f"admin:{s}".encode()).decode(),
    "basic-1": lambda s: "Basic " + base64.b64encode(f"ad:{s}".encode()).decode(),
    "basic-2": lambda s: "Basic " + base64.b64encode(f"adm:{s}:x".encode()).decode(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", [CANARY, "correct horse battery", "Tr0ub4dor&3", "äöüß€", "a" * 300])
def test_every_form_of_a_secret_is_masked(form: str, value: str) -> None:
    redactor = Redactor()
    redactor.add(Secret(value))
    clean = redactor.redact(f"before {FORMS[form](value)} after")
    assert clean.startswith("before ")
    assert clean.endswith(" after")
    assert MASK in clean
    forms = {make(value).strip("\"'") for make in FORMS.values()}
    assert not [text for text in forms if text in clean]


@given(st.text(min_size=8, max_size=40), st.sampled_from(sorted(FORMS)))
def test_any_secret_is_masked_in_any_form(value: str, form: str) -> None:
    if any(0xD800 <= ord(c) < 0xE000 for c in value):
        return
    redactor = Redactor()
    redactor.add(Secret(value))
    assert MASK in redactor.redact(FORMS[form](value))


def test_the_lines_of_a_key_are_masked_one_by_one() -> None:
    redactor = Redactor()
    redactor.add(Secret("-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nBAQEFAASCBKcwggSjAgEA\n"))
    assert redactor.redact("line MIIEvQIBADANBgkqhkiG9w0 of it") == f"line {MASK} of it"


def test_short_values_do_not_make_text_unreadable() -> None:
    redactor = Redactor()
    redactor.add(Secret("a"))
    redactor.add(Secret(""))
    assert redactor.redact("a banana") == "a banana"


def test_a_value_of_up_to_seven_characters_is_masked_as_a_word_only() -> None:
    redactor = Redactor()
    redactor.add(Secret("data"))
    assert redactor.redact('Database "data", metadata, data-1') == f'Database "{MASK}", metadata, {MASK}-1'


def test_the_names_of_fields_in_json_are_not_masked() -> None:
    redactor = Redactor()
    redactor.add(Secret("correct horse"))
    value = {"correct horse": ["a correct horse", 1, None, {"a": ("correct horse",)}]}
    assert redactor.redact_all(value) == {"correct horse": [f"a {MASK}", 1, None, {"a": [MASK]}]}


def test_a_certificate_in_a_file_with_a_key_is_not_masked() -> None:
    certificate = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUcertificate\n-----END CERTIFICATE-----\n"
    key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0key\n-----END PRIVATE KEY-----\n"
    redactor = Redactor()
    redactor.add(Secret(certificate + key))
    assert redactor.redact(certificate) == certificate
    assert "w0key" not in redactor.redact(key)


def test_a_longer_secret_is_masked_before_a_shorter_one_within_it() -> None:
    redactor = Redactor()
    redactor.add(Secret("horse"))
    redactor.add(Secret("horse battery"))
    assert redactor.redact("horse battery, horse") == f"{MASK}, {MASK}"


def test_nothing_known_changes_nothing() -> None:
    assert Redactor().redact("text") == "text"
