"""Here the simulator may answer only what the facts list for an operation; anything else raises."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reconciler.simulator.settings import Settings


@pytest.fixture(autouse=True, scope="session")
def _strict() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        checked = Settings.__post_init__

        def strict(settings: Settings) -> None:
            checked(settings)
            settings.strict = True

        patch.setattr(Settings, "__post_init__", strict)
        yield
