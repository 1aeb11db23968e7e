"""Quantities such as "2GiB" or "5m" to the integers of the API.

Used by the validator (is it a quantity, is it in range) and by the canonical form. Must not know kinds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_BYTES = {name + "B": 1000**power for power, name in enumerate(("K", "M", "G", "T"), 1)}
_BYTES |= {name + "iB": 1024**power for power, name in enumerate(("K", "M", "G", "T"), 1)}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MILLISECONDS = {"ms": 1} | {name: 1000 * seconds for name, seconds in _SECONDS.items()}

UNITS: Mapping[str, Mapping[str, int]] = {"bytes": _BYTES, "seconds": _SECONDS, "milliseconds": _MILLISECONDS}
"""The units whose fields take a quantity beside a plain number."""

EXAMPLES: Mapping[str, str] = {"bytes": "2GiB or 512MB", "seconds": "30s or 1h", "milliseconds": "250ms or 2s"}

PATTERNS: Mapping[str, str] = {
    unit: rf"^[0-9]{{1,12}}(\.[0-9]{{1,6}})?({'|'.join(sorted(suffixes))})$" for unit, suffixes in UNITS.items()
}

_QUANTITY = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,6}))?([A-Za-z]+)")
# In fields that are text in the API: Redis' own suffixes, where mb is MiB. "100MB" could be either: refused.
_REDIS_SIZE = re.compile(r"([0-9]{1,15})(kb|mb|gb|KiB|MiB|GiB)?")


def quantity(text: str, unit: str) -> int | None:
    """Return the whole number of *unit* in *text*, None if it is not a quantity ("1.5B", "2 GB")."""
    match = _QUANTITY.fullmatch(text)
    factor = UNITS[unit].get(match[3]) if match else None
    if match is None or factor is None:
        return None
    fraction = match[2] or ""
    value, rest = divmod(int(match[1] + fraction) * factor, 10 ** len(fraction))
    return None if rest else value


def redis_size(text: str) -> str | None:
    """Return the plain decimal text of a size in a text field ("100mb" is "104857600"), None if it is not a size."""
    match = _REDIS_SIZE.fullmatch(text)
    if match is None:
        return None
    power = " kmg".index((match[2] or " ")[0].lower())
    return str(int(match[1]) * 1024**power)
