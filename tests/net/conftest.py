"""Closes what a test opened."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.net.support import RecordingClient


@pytest.fixture(autouse=True)
def _closed_clients() -> Iterator[None]:
    yield
    while RecordingClient.made:
        RecordingClient.made.pop().close()
