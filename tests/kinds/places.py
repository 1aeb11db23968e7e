"""The places that every kind needs, and what is still missing in each: `python -m tests.kinds.places`.

`tests/conftest.py` asks before a test run starts, so that a kind that is half added gives one message instead of many
failing tests. It knows no kind by name, and reads the kind files as they are: they may be broken.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
from referencing import Registry

from reconciler.kinds import load_kinds, manifest_schema
from reconciler.kinds.reference_page import markdown
from reconciler.simulator.api.routes import HANDLERS, load_handlers
from tests.kinds import facts

ROOT = Path(__file__).parent.parent.parent
SCHEMAS, TOUR = ROOT / "schemas", ROOT / "manifests"
GENERATED: Mapping[str, Callable[[], str]] = {
    "manifest.json": lambda: json.dumps(manifest_schema(), indent=1, ensure_ascii=False) + "\n",
    "README.md": markdown,
}
HEADING = 'These kinds are incomplete (CONTRIBUTING.md, "How to add a kind", has an example of each place):'

Source = Mapping[str, Any]


def in_schemas(title: str, source: Source) -> Iterator[str]:
    """Yield what is wrong with the kind file itself."""
    if "examples" not in source:
        yield "no examples"
    if title != source.get("title"):
        yield f"the title must be the file name in upper and lower case, and is {source.get('title')!r}"
    meta = json.loads((SCHEMAS / "meta" / "kind.json").read_text("utf-8"))
    for error in jsonschema.Draft202012Validator(meta, registry=Registry()).iter_errors(source):
        yield f"{'.'.join(map(str, error.absolute_path)) or 'the file'}: {error.message[:200]}"


def in_simulator(title: str, source: Source) -> Iterator[str]:
    """Yield the operations of the kind that the simulator does not serve; what a hook calls is for the hook's tests."""
    load_handlers()
    served = {_pattern(operation) for operation in HANDLERS}
    rest = source["x-rest"]
    path, item = rest["path"], rest["path"] if rest.get("singleton") else f"{rest['path']}/{{id}}"
    wanted = [f"GET {path}"]
    for verb, word in rest["verbs"].items():
        method, _, own = word.partition(" ")
        wanted.append(f"{method} {own or (path if verb == 'create' else item)}")
    if "hook" not in rest:
        yield from (f"{operation} is not served" for operation in wanted if _pattern(operation) not in served)


def in_coverage(title: str, source: Source) -> Iterator[str]:
    """Yield what the facts lack: the fields of the kind, and the object of the API that it is."""
    held = {kind for _, kind in facts.HELD}
    if title not in held | {place.partition(".")[0] for _, place in facts.PLACES}:
        yield f"no object of the API is at {title}"
    if title not in held and title not in facts.TABLE:
        yield f"no fields of {title}"


def in_tour(title: str, source: Source) -> Iterator[str]:
    """Yield that no document of the tour is of the kind."""
    texts = "\n".join(path.read_text("utf-8") for path in sorted(TOUR.rglob("*.yaml")))
    if not re.search(rf"^kind: {re.escape(title)}$", texts, re.MULTILINE):
        yield f"no document has `kind: {title}`"


PLACES: Mapping[str, Callable[[str, Source], Iterator[str]]] = {
    "schemas/": in_schemas,
    "reconciler/simulator": in_simulator,
    "tests/kinds/coverage": in_coverage,
    "manifests/": in_tour,
}


def report() -> str:
    """Return one message that names every place where a kind is missing, or nothing."""
    lines: list[str] = []
    for path in sorted(SCHEMAS.glob("*.json")):
        if path.name != "manifest.json":
            lines += _missing(path)
    if not lines:
        stale = [name for name, text in GENERATED.items() if (SCHEMAS / name).read_text("utf-8") != text()]
        lines = [f"  schemas/{name} is out of date; run: make schemas" for name in stale]
    return "\n".join([HEADING, *lines]) if lines else ""


def _missing(path: Path) -> Iterator[str]:
    try:
        source = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        yield f"  schemas/{path.name}: no JSON: {error}"
        return
    title = str(source.get("title")) if str(source.get("title")).lower() == path.stem else path.stem
    for place, missing in PLACES.items():
        found = list(missing(title, source))
        yield from (f"  {title}: {place}: {problem}" for problem in found)
        if found and missing is in_schemas:
            return  # the other places are read from a valid file


def _pattern(operation: str) -> str:
    return re.sub(r"\{\w+\}", "{}", operation)


if __name__ == "__main__":
    text = report()
    print(text or f"{len(load_kinds())} kinds are complete.")
    sys.exit(bool(text))
