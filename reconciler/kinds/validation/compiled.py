"""A JSON Schema compiled to closures, for the common case of a valid value.

Called by `validator` only. A test returns True for a value that is certainly valid and False for "ask jsonschema"; a
keyword that is not known here makes its schema ask. A test is built when a value first needs it, so that a schema of
300 fields costs nothing to load.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Number
from typing import Any

from reconciler.kinds.validation.rules import LONGEST, equal, in_quantity, pattern, quantity_fits, repeated

Test = Callable[[Any], bool]


_ANNOTATIONS = frozenset(
    ("$schema", "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "format")
)
_OWN_ANNOTATIONS = frozenset(("x-secret", "x-from-file", "x-variants", "x-moved"))


def yes(_: Any) -> bool:
    """Accept everything."""
    return True


def ask(_: Any) -> bool:
    """Accept nothing: jsonschema decides."""
    return False


_TYPES: Mapping[str, Test] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "number": lambda value: isinstance(value, Number) and not isinstance(value, bool),
    "integer": lambda value: (
        (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())
    ),
}


def _bounded_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST


def _type(wanted: Any, schema: Mapping[str, Any]) -> Test:
    names = [wanted] if isinstance(wanted, str) else wanted
    if any(name not in _TYPES for name in names):
        return ask
    words = schema.get("enum")
    if names == ["string"] and words and all(isinstance(word, str) for word in words):
        return yes  # the enum says so too
    bounded = "maxLength" in schema
    tests = [_TYPES[name] if bounded or name != "string" else _bounded_text for name in names]
    return tests[0] if len(tests) == 1 else lambda value: any(test(value) for test in tests)


def _enum(allowed: Sequence[Any], _: Mapping[str, Any]) -> Test:
    words = frozenset(value for value in allowed if isinstance(value, str))
    rest = [value for value in allowed if not isinstance(value, str)]
    if not rest:
        return lambda value: isinstance(value, str) and value in words
    return lambda value: value in words if isinstance(value, str) else any(equal(each, value) for each in rest)


def _number(accepts: Callable[[Any, Any], bool]) -> Callable[[Any, Mapping[str, Any]], Test]:
    is_number = _TYPES["number"]
    return lambda bound, _: lambda value: not is_number(value) or accepts(value, bound)


def _sized(
    kind: type[str] | type[list[Any]] | type[dict[str, Any]], accepts: Callable[[int, int], bool]
) -> Callable[[Any, Mapping[str, Any]], Test]:
    return lambda bound, _: lambda value: not isinstance(value, kind) or accepts(len(value), bound)


def _pattern(text: str, schema: Mapping[str, Any]) -> Test:
    search = pattern(text).search
    longest = schema.get("maxLength", LONGEST)
    return lambda value: not isinstance(value, str) or (len(value) <= longest and search(value) is not None)


def _items(child: Any, _: Mapping[str, Any]) -> Test:
    test = compiled(child)
    return lambda value: not isinstance(value, list) or all(map(test, value))


def _unique(wanted: bool, _: Mapping[str, Any]) -> Test:
    def test(value: Any) -> bool:
        if not isinstance(value, list):
            return True
        if all(isinstance(item, str) for item in value):
            return len(set(value)) == len(value)
        return not any(equal(item, other) for index, item in enumerate(value) for other in value[:index])

    return test if wanted else yes


class _Fields(dict[str, Test]):
    """Tests of the properties of an object, each compiled when it is first needed."""

    def __init__(self, schemas: Mapping[str, Any], extra: Any) -> None:
        super().__init__()
        self.schemas = schemas
        self.extra = compiled(extra)

    def __missing__(self, name: str) -> Test:
        if name not in self.schemas:
            return self.extra
        test = self[name] = compiled(self.schemas[name])
        return test


def _properties(schemas: Mapping[str, Any], schema: Mapping[str, Any]) -> Test:
    fields = _Fields(schemas, schema.get("additionalProperties", True))
    if fields.extra is yes:
        return _some_properties(schemas, fields)

    def test(value: Any) -> bool:
        if isinstance(value, dict):
            for name, child in value.items():
                if not fields[name](child):
                    return False
        return True

    return test


def _some_properties(names: Iterable[str], fields: _Fields) -> Test:
    """Test only *names*: most of such schemas are conditions on one property of many."""

    def test(value: Any) -> bool:
        if isinstance(value, dict):
            for name in names:
                if name in value and not fields[name](value[name]):
                    return False
        return True

    return test


def _additional(_: Any, schema: Mapping[str, Any]) -> Test:
    return yes if "properties" in schema else _properties({}, schema)


def _required(names: Sequence[str], _: Mapping[str, Any]) -> Test:
    wanted = frozenset(names)
    if len(wanted) == 1:
        (only,) = wanted
        return lambda value: not isinstance(value, dict) or only in value
    return lambda value: not isinstance(value, dict) or wanted <= value.keys()


def _names(child: Any, _: Mapping[str, Any]) -> Test:
    test = compiled(child)
    return lambda value: not isinstance(value, dict) or all(map(test, value))


def _all(children: Sequence[Any], _: Mapping[str, Any]) -> Test:
    return _both([compiled(child) for child in children])


def _any(children: Sequence[Any], _: Mapping[str, Any]) -> Test:
    tests = [compiled(child) for child in children]
    return lambda value: any(test(value) for test in tests)


def _one(children: Sequence[Any], schema: Mapping[str, Any]) -> Test:
    if not all(map(_exact, children)):
        return ask
    chooser = schema.get("x-variants")
    if chooser:
        shapes = {child["properties"][chooser]["const"]: child for child in children}
        fields = _Fields(shapes, False)
        return lambda value: (
            isinstance(value, dict) and isinstance(value.get(chooser), str) and fields[value[chooser]](value)
        )
    tests = [compiled(child) for child in children]
    return lambda value: sum(test(value) for test in tests) == 1


def _not(child: Any, _: Mapping[str, Any]) -> Test:
    test = compiled(child)
    return (lambda value: not test(value)) if _exact(child) else ask


def _if(condition: Any, schema: Mapping[str, Any]) -> Test:
    if not _exact(condition):
        return ask
    test, then, otherwise = compiled(condition), compiled(schema.get("then", True)), compiled(schema.get("else", True))
    return lambda value: then(value) if test(value) else otherwise(value)


def _unit(_: str, schema: Mapping[str, Any]) -> Test:
    if not in_quantity(schema):
        return yes
    return lambda value: not isinstance(value, str) or quantity_fits(value, schema)


def _key(key: Sequence[str], _: Mapping[str, Any]) -> Test:
    return (lambda value: not isinstance(value, list) or not repeated(value, key)) if key else yes


def _no_test(_: Any, __: Mapping[str, Any]) -> Test:
    return yes


_KEYWORDS: Mapping[str, Callable[[Any, Mapping[str, Any]], Test]] = {
    "type": _type,
    "enum": _enum,
    "const": lambda value, schema: _enum([value], schema),
    "minimum": _number(lambda value, bound: not value < bound),
    "maximum": _number(lambda value, bound: not value > bound),
    "minLength": _sized(str, lambda length, bound: length >= bound),
    "maxLength": _sized(str, lambda length, bound: length <= bound),
    "minItems": _sized(list, lambda length, bound: length >= bound),
    "maxItems": _sized(list, lambda length, bound: length <= bound),
    "minProperties": _sized(dict, lambda length, bound: length >= bound),
    "maxProperties": _sized(dict, lambda length, bound: length <= bound),
    "pattern": _pattern,
    "required": _required,
    "properties": _properties,
    "additionalProperties": _additional,
    "propertyNames": _names,
    "items": _items,
    "uniqueItems": _unique,
    "allOf": _all,
    "anyOf": _any,
    "oneOf": _one,
    "not": _not,
    "if": _if,
    "then": _no_test,
    "else": _no_test,
    "x-unit": _unit,
    "x-key": _key,
    **dict.fromkeys(_ANNOTATIONS | _OWN_ANNOTATIONS, _no_test),
}

_CHEAP = ("type", "required")  # tested first: they save the other keywords of a schema that does not apply

_SINGLE = ("items", "additionalProperties", "propertyNames", "not", "if", "then", "else")


def _exact(schema: Any) -> bool:
    """Return whether every keyword in *schema* is known, so that False from its test means invalid, not "ask"."""
    if isinstance(schema, bool):
        return True
    if not isinstance(schema, dict) or not schema.keys() <= _KEYWORDS.keys():
        return False
    below = [schema[word] for word in _SINGLE if word in schema]
    below += [child for word in ("allOf", "anyOf", "oneOf") for child in schema.get(word, ())]
    return all(map(_exact, [*below, *schema.get("properties", {}).values()]))


def _both(tests: list[Test]) -> Test:
    tests = [test for test in tests if test is not yes]
    if ask in tests:
        return ask
    match tests:
        case []:
            return yes
        case [only]:
            return only
        case [first, second]:
            return lambda value: first(value) and second(value)
        case [first, second, third]:
            return lambda value: first(value) and second(value) and third(value)

    def test(value: Any) -> bool:
        for each in tests:  # noqa: SIM110  a plain loop is half of the time
            if not each(value):
                return False
        return True

    return test


def compiled(schema: Any) -> Test:
    """Return the test of *schema*."""
    if isinstance(schema, bool):
        return yes if schema else ask
    if not isinstance(schema, dict) or not schema.keys() <= _KEYWORDS.keys():
        return ask
    words = sorted(schema, key=lambda word: word not in _CHEAP)
    return _both([_KEYWORDS[word](schema[word], schema) for word in words])
