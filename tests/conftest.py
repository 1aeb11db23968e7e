"""A test run starts only if every kind is complete; otherwise one message names what is missing where."""

from __future__ import annotations

from pathlib import Path

import pytest

APART = Path(__file__).parent / "simulator"  # its tests know no kinds: a row can be tested before the rest exists


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    config = session.config
    selected = [Path(config.invocation_params.dir, arg.partition("::")[0]).resolve() for arg in config.args]
    if hasattr(config, "workerinput") or all(path.is_relative_to(APART) for path in selected):
        return
    from tests.kinds.places import report

    if text := report():
        raise pytest.UsageError(text)
