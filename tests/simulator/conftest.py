"""Here the simulator may answer only what the facts list for an operation; anything else raises."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reconciler.simulator.settings import SimulatorSettings


@pytest.fixture(autouse=True, scope="session")
def _strict() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        checked = SimulatorSettings.__post_init__

        def strict(settings: SimulatorSettings) -> None:
            checked(settings)
            settings.strict = True

        patch.setattr(SimulatorSettings, "__post_init__", strict)
        yield
