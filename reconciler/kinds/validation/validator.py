"""Holds a value against a JSON Schema and says in plain words what is wrong. Home of jsonschema.

Called by `kinds` for specs and by whoever reads input. A value that is fine never loads jsonschema (80 ms); its errors
are put in words by `explanation`. Nothing is ever fetched: the registry of references is empty.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.kinds.validation import compiled, explanation
from reconciler.kinds.validation.explanation import Finding

__all__ = ["Finding", "Validator"]


class Validator:
    """A JSON Schema (2020-12, with the words x-unit and x-key), ready to use; cheap to make."""

    __slots__ = ("_authority", "_test", "schema")

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = schema
        self._test: compiled.Test | None = None
        self._authority: Any = None

    def check(self, value: Any) -> bool:
        """Return True if *value* is surely valid, False to ask `explain`."""
        if self._test is None:
            self._test = compiled.compiled(self.schema)
        return self._test(value)

    def explain(self, value: Any) -> list[Finding]:
        """Return everything that is wrong with *value*, as jsonschema sees it."""
        if self._authority is None:
            from referencing import Registry

            self._authority = _dialect()(self.schema, registry=Registry())
        return explanation.findings(self._authority.iter_errors(value), self.schema)

    def findings(self, value: Any) -> list[Finding]:
        """Return everything that is wrong with *value*; fast where nothing is."""
        return [] if self.check(value) else self.explain(value)


@functools.cache
def _dialect() -> Any:
    """Return jsonschema's 2020-12 validator with our words; formats are not checked."""
    from jsonschema import Draft202012Validator, ValidationError
    from jsonschema.validators import extend

    standard_type = Draft202012Validator.VALIDATORS["type"]

    def type_(validator: Any, wanted: Any, value: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
        text = isinstance(value, str) and "string" in wanted and "pattern" not in schema
        if text and compiled.too_long(value, schema):
            yield ValidationError("too long")
        else:
            yield from standard_type(validator, wanted, value, schema)

    def pattern(_: Any, text: str, value: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
        if (
            not isinstance(value, str)
            or compiled.in_quantity(schema)
            or len(value) > schema.get("maxLength", len(value))
        ):
            return
        if compiled.too_long(value, schema) or not compiled.pattern(text).search(value):
            yield ValidationError("wrong form")

    def unit(_: Any, __: str, value: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
        if compiled.in_quantity(schema) and isinstance(value, str) and not compiled.quantity_fits(value, schema):
            yield ValidationError("not such a quantity")

    def key(_: Any, names: list[str], value: Any, __: Mapping[str, Any]) -> Iterator[Any]:
        if names and isinstance(value, list) and compiled.repeated(value, names):
            yield ValidationError("repeated")

    return extend(  # type: ignore[no-untyped-call]
        Draft202012Validator, {"type": type_, "pattern": pattern, "x-unit": unit, "x-key": key}
    )
