"""The settings of the agent: the project file completed by the flags of `run`, read again at SIGHUP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reconciler.settings import Settings
    from reconciler.telemetry import Observer

_NEED_RESTART = ("state_dir", "listen", "notify")


def completed(settings: Settings, flags: Mapping[str, Any]) -> Settings:
    """Return *settings* with the values of the flags."""
    from reconciler.settings import FolderSource

    settings.reachable()
    if flags.get("path"):
        settings = replace(settings, source=FolderSource(Path(flags["path"])))
    elif settings.source is None:
        settings = replace(settings, source=FolderSource(settings.root))

    def with_flags(target: Any) -> Any:
        mode = flags.get("mode") or target.agent_policy.mode
        layers = target.manifests or (settings.root,)  # of the cluster configured by the environment: the whole source
        return replace(target, agent_policy=target.agent_policy._replace(mode=mode), manifests=layers)

    targets, selected = (tuple(map(with_flags, group)) for group in (settings.targets, settings.selected))
    return replace(settings, targets=targets, selected=selected)


def reloaded(settings: Settings, flags: Mapping[str, Any], observe: Observer) -> Settings | None:
    """Return the settings as they are now; None where they are invalid, which is reported: the previous ones stay."""
    from reconciler import settings as reading
    from reconciler.errors import ReconcilerError
    from reconciler.telemetry import Event

    try:
        environ = settings.login_sources.environ
        found = completed(reading.load(settings.project, environ, flags, redactor=settings.redactor), flags)
    except ReconcilerError as error:
        observe(Event("settings.rejected", {"why": str(error)}))
        return None
    observe(Event("settings.reloaded", {"clusters": len(found.selected)}))
    fixed = [name for name in _NEED_RESTART if getattr(found, name) != getattr(settings, name)]
    if fixed:
        observe(Event("settings.deferred", {"why": f"{', '.join(fixed)}: takes effect after a restart"}))
    return found
