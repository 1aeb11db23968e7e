"""Input made to hurt is refused with a short text, by a process that lives on within its bounds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "hostile.py"


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    """Read everything in one child process; what is missing from its answers killed it."""
    child = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, timeout=300, check=False)
    lines = [json.loads(line) for line in child.stdout.splitlines()]
    assert child.returncode == 0, f"died after {lines[-1]['name'] if lines else 'nothing'}: {child.stderr[-2000:]}"
    return {line["name"]: line["said"] for line in lines}


def test_the_corpus_is_as_large_as_promised(said: dict[str, str]) -> None:
    assert len(said) >= 40


def test_everything_is_refused(said: dict[str, str]) -> None:
    assert [name for name, text in said.items() if not text] == []


def test_no_text_is_long_or_holds_control_characters(said: dict[str, str]) -> None:
    assert [name for name, text in said.items() if text.count("\n") > 1000 or len(max(text.split("\n"))) > 1000] == []
    assert [name for name, text in said.items() if not text.replace("\n", "").isprintable()] == []


def test_every_line_says_where(said: dict[str, str]) -> None:
    strays = {line for text in said.values() for line in text.split("\n") if not line.startswith("<stdin>")}
    assert strays <= {"manifests: too many problems; the rest is not shown"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("list-bomb", "aliases expand to more than 50,000 nodes"),
        ("alias-deep", "aliases nest deeper than 32 levels"),
        ("alias-of-itself", "refers to its own anchor"),
        ("anchors-many", "more than 1,000 anchors in one file"),
        ("flow-lists-deep", "nested deeper than 32 levels"),
        ("block-lists-deep", "nested deeper than 32 levels"),
        ("tag-python-object", "the tag !!python/object/apply:os.system is not allowed"),
        ("too-large", "over the limit of 1,048,576"),
        ("nul-only", "the file contains a NUL character"),
        ("utf16", "a UTF-16 byte order mark"),
        ("keys-many", "more than 1,000 keys in one mapping"),
    ],
)
def test_the_text_names_the_bound(said: dict[str, str], name: str, words: str) -> None:
    assert words in said[name]


def test_nothing_that_a_tag_names_is_run(said: dict[str, str]) -> None:
    assert "exit 9" not in said["tag-python-object"]
