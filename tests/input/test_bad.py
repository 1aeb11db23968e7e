"""Bad manifests, each with the exact text that a person gets to read. `update_bad.py` writes the texts down again."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler import manifests, yaml12
from reconciler.errors import InputError
from reconciler.kinds import load_kinds

BAD = Path(__file__).parent / "bad"
NAMES = sorted(path.stem for path in BAD.glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_manifest_is_refused_with_its_text(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)
    with pytest.raises(InputError) as caught:
        manifests.load([f"{name}.yaml"], load_kinds())
    assert (BAD / f"{name}.txt").read_text(encoding="utf-8") == f"{caught.value}\n"


@pytest.mark.parametrize("name", NAMES)
def test_every_problem_has_a_place_in_its_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)
    with pytest.raises(InputError) as caught:
        manifests.load([f"{name}.yaml"], load_kinds())
    text = (BAD / f"{name}.yaml").read_bytes().decode("utf-8", "replace")
    lines = text.split("\n")
    for problem in caught.value.problems:
        assert problem.file == f"{name}.yaml"
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1


def test_the_whole_corpus_at_once_says_everything_in_reading_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)
    with pytest.raises(InputError) as caught:
        manifests.load(["."], load_kinds())
    assert len({problem.file for problem in caught.value.problems}) == len(NAMES)
    places = [(problem.file, problem.line, problem.column) for problem in caught.value.problems]
    assert sorted(places) == places


def test_no_secret_that_was_written_down_is_repeated() -> None:
    texts = [path.read_text(encoding="utf-8") for path in BAD.glob("*.txt")]
    assert not [text for text in texts if "hunter2" in text]


def test_the_corpus_is_as_large_as_promised() -> None:
    assert len(NAMES) >= 60
    assert sorted(path.stem for path in BAD.glob("*.txt")) == NAMES


def test_the_pure_parser_refuses_the_same_files(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = [name for name in NAMES if yaml12.parse((BAD / f"{name}.yaml").read_bytes(), name).problems]
    monkeypatch.setattr("reconciler.yaml12.events._parser", yaml12.events._PureParser)
    again = [name for name in NAMES if yaml12.parse((BAD / f"{name}.yaml").read_bytes(), name).problems]
    assert broken == again
