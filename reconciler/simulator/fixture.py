"""The pytest fixture of `testing`, apart from it because it needs pytest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .testing import Running, running


@pytest.fixture
def redis_enterprise(request: pytest.FixtureRequest) -> Iterator[Running]:
    """Serve a cluster over TLS for one test; an indirect parameter holds the arguments of `testing.running`."""
    with running(**getattr(request, "param", {})) as server:
        yield server
