"""The clusters of a run: what `--cluster` and `--exclude` choose by name, pattern or label.

A selector is a name, a pattern with `*`, `?` or `[…]`, a list of these separated by commas, of which one has to match,
or a list of labels, all of which have to match, as in a label selector of kubectl: `env=prod,region!=eu`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from reconciler.errors import Problem
from reconciler.settings.target import Target

_LABEL = re.compile(r"(?P<name>[^=!,]+?)(?P<operator>==|=|!=)(?P<value>.*)", re.DOTALL)
_WITH_LABEL_PREFIX = re.compile(r"[a-z0-9.-]+/[^=!]+!?=")


def is_address(text: str) -> bool:
    """Return whether *text* names resources, such as `Database/a`, and not clusters."""
    return "/" in text and not _WITH_LABEL_PREFIX.match(text)


def select(
    targets: Sequence[Target], chosen: Iterable[str], excluded: Iterable[str], problems: list[Problem]
) -> tuple[Target, ...]:
    """Return the targets that *chosen* selects (all of them if it is empty) without the *excluded* ones."""
    wanted, unwanted = list(chosen), list(excluded)
    kept = _matching("--cluster", wanted, targets, problems) if wanted else {target.name for target in targets}
    kept = kept - _matching("--exclude", unwanted, targets, problems)
    if unwanted and not kept and not problems:
        problems.append(Problem("--exclude", 0, 0, "", "excludes every cluster of the run", "leave one of them"))
    return tuple(target for target in targets if target.name in kept)


def _matching(option: str, selectors: Iterable[str], targets: Sequence[Target], problems: list[Problem]) -> set[str]:
    """Return the names of the targets that one of *selectors* matches; each part of one has to match something."""
    found: set[str] = set()
    for selector in selectors:
        parts = [part.strip() for part in selector.split(",")]
        if "=" in selector:
            names = [target.name for target in targets if all(_has_label(part, target.labels) for part in parts)]
            problems += [] if names else [_no_label(option, selector, parts, targets)]
            found.update(names)
            continue
        for part in parts:
            names = [target.name for target in targets if fnmatchcase(target.title, part)]
            problems += [] if names else [_no_name(option, part, targets)]
            found.update(names)
    return found


def _has_label(part: str, labels: Mapping[str, str]) -> bool:
    match = _LABEL.fullmatch(part)
    if match is None:
        return False
    equal = labels.get(match["name"].strip()) == match["value"].strip()
    return equal != (match["operator"] == "!=")


def _no_name(option: str, part: str, targets: Sequence[Target]) -> Problem:
    names = [target.title for target in targets]
    near = get_close_matches(part, names, 1)
    hint = f'did you mean "{near[0]}"?' if near else f"known clusters: {', '.join(names) or 'none'}"
    what = "no cluster matches" if re.search(r"[*?[]", part) else "unknown cluster"
    return Problem(option, 0, 0, "", f'{what} "{part}"', hint)


def _no_label(option: str, selector: str, parts: Sequence[str], targets: Sequence[Target]) -> Problem:
    if not all(_LABEL.fullmatch(part) for part in parts):
        hint = "separate labels with commas: env=prod,region=eu; write names in an option of their own"
        return Problem(option, 0, 0, "", f'"{selector}" is not a label selector', hint)
    labels = sorted({f"{name}={value}" for target in targets for name, value in target.labels.items()})
    near = get_close_matches(selector, labels, 1)
    hint = f'did you mean "{near[0]}"?' if near else f"labels of clusters: {', '.join(labels) or 'none'}"
    return Problem(option, 0, 0, "", f'no cluster has the labels "{selector}"', hint)
