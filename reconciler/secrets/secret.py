"""A secret value, which exists from here to the socket and is never shown."""

from __future__ import annotations

import hmac
from typing import Any, NoReturn

MASK = "(secret)"


class Secret:
    """A secret value. Only `reveal` returns it; it has no other representation."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """Return the value: for the request that sends it, and for its digest."""
        return self.__value

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__value.encode(), other.__value.encode())

    __hash__ = None  # type: ignore[assignment]  # a hash could be compared with guesses

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a secret cannot be copied or pickled")
