"""Plain values to YAML text that reads back as the same values: here, and by readers of YAML 1.1 and 1.2 alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from reconciler.yaml12.scalars import resolve

_Base: Any = vars(yaml)["CSafeDumper"] if yaml.__with_libyaml__ else yaml.SafeDumper


class _Dumper(_Base):  # type: ignore[misc]  # which of the two is known at run time
    """Quotes every string that some version of YAML takes for something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _string(dumper: Any, text: str) -> Any:
    lines = text.split("\n")
    if len(lines) > 1 and text.isascii() and all(line.isprintable() and line == line.strip() for line in lines):
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")
    plain = type(resolve(text)) is str
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_Dumper.add_representer(str, _string)


def write(values: Iterable[Any]) -> str:
    """Return *values* as the documents of one text; the order of keys is kept."""
    text: str = yaml.dump_all(
        values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=100
    )
    return text
