"""Parses JSON from untrusted clients: limited in size and depth; invalid input is always a 400 or 413."""

from __future__ import annotations

import json
import math
from typing import NoReturn

from reconciler.simulator.api.messages import ApiError, Json

MAX_BYTES = 64 * 1024 * 1024


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is too large")
    return value


def parse(body: bytes) -> Json:
    """Return the value of *body*; an empty body is an empty object."""
    if len(body) > MAX_BYTES:
        raise ApiError(413, "body_too_large", "the body is larger than 64 MiB")
    if not body:
        return {}
    try:
        value = json.loads(body, parse_constant=_refuse, parse_float=_finite)
        if b"\\u" in body:  # an escape may contain a lone surrogate, which no response could be encoded with
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise ApiError(400, "invalid_json", f"the body is not JSON: {type(error).__name__}") from None
    return value
