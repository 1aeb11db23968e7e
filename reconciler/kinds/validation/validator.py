"""Validates a value against a JSON Schema and explains what is wrong. Home of jsonschema.

Called by `kinds` for specs and by every reader of input. A valid value never loads jsonschema (80 ms); `explanation`
converts its errors to messages. References are never fetched: their registry is empty.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from reconciler.kinds.validation import compiled, rules

if TYPE_CHECKING:
    from reconciler.kinds.validation.messages import Finding

Written = Callable[[tuple[str | int, ...]], str]


class Validator:
    """A JSON Schema (2020-12, with the keywords x-unit and x-key), ready to use; cheap to make."""

    __slots__ = ("_authority", "_test", "schema")

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = schema
        self._test: compiled.Test | None = None
        self._authority: Any = None

    def check(self, value: Any) -> bool:
        """Return True if *value* is certainly valid, False to ask `explain`."""
        if self._test is None:
            self._test = compiled.compiled(self.schema)
        return self._test(value)

    def explain(self, value: Any, written: Written | None = None) -> list[Finding]:
        """Return everything that is wrong with *value*, by jsonschema.

        *written* returns the number or boolean at a path as the author wrote it, `7.10`, where that is known.
        """
        if self._authority is None:
            from referencing import Registry

            self._authority = _dialect()(self.schema, registry=Registry())
        from reconciler.kinds.validation import explanation  # for invalid values only

        return explanation.findings(self._authority.iter_errors(value), self.schema, written)

    def findings(self, value: Any, written: Written | None = None) -> list[Finding]:
        """Return everything that is wrong with *value*, as `explain` does; fast for a valid value."""
        return [] if self.check(value) else self.explain(value, written)


@functools.cache
def _dialect() -> Any:
    """Return jsonschema's 2020-12 validator with own keywords; formats are not checked."""
    from jsonschema import Draft202012Validator, ValidationError
    from jsonschema.validators import extend

    standard_type = Draft202012Validator.VALIDATORS["type"]

    def type_(validator: Any, wanted: Any, value: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
        text = isinstance(value, str) and "string" in wanted and "pattern" not in schema
        if text and rules.too_long(value, schema):
            yield ValidationError("too long")
        else:
            yield from standard_type(validator, wanted, value, schema)

    def pattern(_: Any, text: str, value: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
        if not isinstance(value, str) or rules.in_quantity(schema) or len(value) > schema.get("maxLength", len(value)):
            return
        if rules.too_long(value, schema) or not rules.pattern(text).search(value):
            yield ValidationError("wrong form")

    def unit(_: Any, __: str, value: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
        if rules.in_quantity(schema) and isinstance(value, str) and not rules.quantity_fits(value, schema):
            yield ValidationError("not such a quantity")

    def key(_: Any, names: list[str], value: Any, __: Mapping[str, Any]) -> Iterator[Any]:
        if names and isinstance(value, list) and rules.repeated(value, names):
            yield ValidationError("repeated")

    return extend(  # type: ignore[no-untyped-call]
        Draft202012Validator, {"type": type_, "pattern": pattern, "x-unit": unit, "x-key": key}
    )
