"""Plain scalars: what they are, or why they are refused."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from reconciler import yaml12
from reconciler.yaml12.scalars import RejectedScalar, resolve

VALUES: list[tuple[str, Any]] = [
    ("", None),
    ("~", None),
    ("null", None),
    ("Null", None),
    ("NULL", None),
    ("true", True),
    ("True", True),
    ("TRUE", True),
    ("false", False),
    ("False", False),
    ("FALSE", False),
    ("0", 0),
    ("7", 7),
    ("-7", -7),
    ("+7", 7),
    ("-0", 0),
    ("0x1F", 31),
    ("0xff", 255),
    ("9223372036854775807", 2**63 - 1),
    ("-9223372036854775808", -(2**63)),
    ("1.5", 1.5),
    ("-1.5", -1.5),
    (".5", 0.5),
    ("5.", 5.0),
    ("0.25", 0.25),
    ("1.5e+3", 1500.0),
    ("1.5E-3", 0.0015),
    ("y", "y"),
    ("N", "N"),
    ("tRUE", "tRUE"),
    ("nULL", "nULL"),
    ("none", "none"),
    ("oN", "oN"),
    ("-", "-"),
    ("+", "+"),
    (".", "."),
    ("..", ".."),
    ("_", "_"),
    ("1_a", "1_a"),
    ("1a", "1a"),
    ("0x", "0x"),
    ("0xg", "0xg"),
    ("e5", "e5"),
    ("1.2.3", "1.2.3"),
    ("10.0.0.1", "10.0.0.1"),
    ("10.0.0.1:9443", "10.0.0.1:9443"),
    ("12:99", "12:99"),
    ("redis:6379", "redis:6379"),
    ("2GiB", "2GiB"),
    ("100mb", "100mb"),
    ("5m", "5m"),
    ("-x", "-x"),
    ("nothing", "nothing"),
    ("overcommit", "overcommit"),
    ("2024", 2024),
    ("2024-13", "2024-13"),
    ("+@all", "+@all"),
    ("~*", "~*"),
    ("allkeys-lru", "allkeys-lru"),
]

REFUSED: list[tuple[str, str]] = [
    ("yes", 'write "yes" in quotes, or true'),
    ("Yes", 'write "Yes" in quotes, or true'),
    ("YES", 'write "YES" in quotes, or true'),
    ("on", 'write "on" in quotes, or true'),
    ("On", 'write "On" in quotes, or true'),
    ("no", 'write "no" in quotes, or false'),
    ("No", 'write "No" in quotes, or false'),
    ("off", 'write "off" in quotes, or false'),
    ("OFF", 'write "OFF" in quotes, or false'),
    ("=", 'write "=" in quotes'),
    ("012", 'write "012" in quotes, or 12'),
    ("-012", 'write "-012" in quotes, or -12'),
    ("00", 'write "00" in quotes, or 0'),
    ("089", 'write "089" in quotes, or 89'),
    ("01.5", 'write "01.5" in quotes, or 1.5'),
    ("0o14", 'write "0o14" in quotes, or 12'),
    ("0b101", 'write "0b101" in quotes, or 5'),
    ("-0x1F", 'write "-0x1F" in quotes, or -31'),
    ("0x_1F", 'write "0x_1F" in quotes, or 31'),
    ("1_000", 'write "1_000" in quotes, or 1000'),
    ("1_000.5", 'write "1_000.5" in quotes, or 1000.5'),
    ("1:30", 'write "1:30" in quotes'),
    ("190:20:30", 'write "190:20:30" in quotes'),
    ("12:00:00", 'write "12:00:00" in quotes'),
    ("1:30.5", 'write "1:30.5" in quotes'),
    ("1e3", 'write "1e3" in quotes, or 1000'),
    ("1.5e3", 'write "1.5e3" in quotes, or 1500'),
    ("1E+3", 'write "1E+3" in quotes, or 1000'),
    ("2024-01-31", 'write "2024-01-31" in quotes'),
    ("2024-01-31T10:00:00Z", 'write "2024-01-31T10:00:00Z" in quotes'),
    ("2024-01-31 10:00:00", 'write "2024-01-31 10:00:00" in quotes'),
    (".inf", "write a finite number, or quotes if it is text"),
    ("-.INF", "write a finite number, or quotes if it is text"),
    (".nan", "write a finite number, or quotes if it is text"),
    ("1.0e+999", "write it in quotes if it is text"),
    ("9223372036854775808", "write it in quotes if it is text"),
    ("0xFFFFFFFFFFFFFFFFFF", "write it in quotes if it is text"),
    ("1" * 5000, "write it in quotes if it is text"),
]


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_a_plain_scalar_has_one_value(text: str, value: Any) -> None:
    found = resolve(text)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(("text", "hint"), REFUSED)
def test_an_ambiguous_scalar_is_refused_with_what_to_write(text: str, hint: str) -> None:
    found = resolve(text)
    assert isinstance(found, RejectedScalar)
    assert found.hint == hint


@pytest.mark.parametrize("text", [text for text, _ in VALUES])
def test_what_is_taken_means_the_same_to_a_reader_of_yaml_1_1(text: str) -> None:
    document = f"- {text}\n"
    assert yaml.load(document, yaml.CSafeLoader) == yaml12.read(document, "f")[0].value


@pytest.mark.parametrize("text", [text for text, _ in VALUES + REFUSED if text and len(text) < 100])
def test_quotes_make_a_string_of_anything(text: str) -> None:
    assert [[text, text]] == [d.value for d in yaml12.read(f"- \"{text}\"\n- '{text}'\n", "f")]


def test_the_table_is_as_large_as_promised() -> None:
    assert len(VALUES) + len(REFUSED) >= 60
