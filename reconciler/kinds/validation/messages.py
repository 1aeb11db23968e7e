"""Parts of validation messages: quoted values, similar names, lists of words. Never called with a secret."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from reconciler.yaml12.scalars import resolve


class Finding(NamedTuple):
    """One thing that is wrong with a value."""

    path: tuple[str | int, ...]  # from the top of the value
    message: str
    hint: str = ""


TYPES = {
    "null": "null",
    "boolean": "a boolean",
    "integer": "an integer",
    "number": "a number",
    "string": "a string",
    "array": "a list",
    "object": "a mapping",
}


SHOWN = 60


def escaped(text: str) -> str:
    """Return *text* with everything that does not print spelt out."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)


def shown(value: Any) -> str:
    """Return *value* in at most a line: quoted, escaped, cut."""
    if isinstance(value, (dict, list)):
        return TYPES["object" if isinstance(value, dict) else "array"]
    if isinstance(value, str):
        cut = value if len(value) <= SHOWN else value[:SHOWN] + "…"
        return f'"{escaped(cut)}"'
    return "null" if value is None else str(json.dumps(value, default=str))[:SHOWN]


def got(error: Any) -> str:
    """Return the value of an error of jsonschema: a number or boolean as it is written, where that is known."""
    return error.written or shown(error.instance)


def in_list(text: str) -> str:
    """Return *text* as the one item of a list in YAML, in quotes where it would be something else without."""
    plain = re.fullmatch(r"[A-Za-z0-9_](?:[A-Za-z0-9_ ./-]*[A-Za-z0-9_])?", text) and resolve(text) == text
    return f"[{text if plain else json.dumps(text)}]"


def near(word: Any, words: Iterable[Any]) -> str:
    """Return a question for the one of *words* that *word* nearly is; "" where none is near."""
    import difflib  # 5 ms, for mistakes only

    known = [each for each in words if isinstance(each, str)]
    if not isinstance(word, str) or len(word) > SHOWN:
        return ""
    same = {_plain(each): each for each in reversed(known)}.get(_plain(word))
    begins = next((each for each in known if word.startswith(f"{each}_")), None)  # role_uid → role
    found = same or begins or next(iter(difflib.get_close_matches(word, known, 1, 0.7)), None)
    return f'did you mean "{found}"?' if found else ""


def _plain(word: str) -> str:
    return word.lower().replace("-", "").replace("_", "").replace(" ", "")


def joined(words: Iterable[Any], last: str = "and") -> str:
    texts = [each if isinstance(each, str) else json.dumps(each) for each in words]
    return f" {last} ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 1 else "".join(texts)


def one_of(allowed: Sequence[Any], value: str) -> str:
    return f"must be {'one of ' if len(allowed) > 1 else ''}{joined(allowed, 'or')}, got {value}"


def expected_format(error: Any) -> str:
    around = [each.schema for each in (error, error.parent) if each is not None and isinstance(each.schema, dict)]
    examples = next((schema["examples"] for schema in around if "examples" in schema), ())
    texts = [each for each in examples if isinstance(each, str) and "\n" not in each]
    form = next((schema["pattern"] for schema in around if "pattern" in schema), "")
    words = [f"such as {shown(texts[0])}" if texts else "", f"it must match {form}" if form else ""]
    return "; ".join(filter(None, words))
