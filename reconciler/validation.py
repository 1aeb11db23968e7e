"""Holds a value against a JSON Schema and says in plain words what is wrong. Home of jsonschema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Finding(NamedTuple):
    """One thing that is wrong with a value."""

    path: tuple[str | int, ...]  # from the top of the value
    message: str
    hint: str = ""


class Validator:
    """A JSON Schema, ready to use."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = schema

    def check(self, value: Any) -> bool:
        """Return True if *value* is surely valid, False to ask `explain`."""
        return False

    def explain(self, value: Any) -> list[Finding]:
        """Return everything that is wrong with *value*."""
        from jsonschema import Draft202012Validator
        from referencing import Registry

        errors = Draft202012Validator(self.schema, registry=Registry()).iter_errors(value)
        return [Finding(tuple(error.absolute_path), error.message) for error in errors]

    def findings(self, value: Any) -> list[Finding]:
        """Return everything that is wrong with *value*; fast where nothing is."""
        return [] if self.check(value) else self.explain(value)
