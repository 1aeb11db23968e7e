"""`reconciler run`: the agent. `agent_process` does the work."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import say
from reconciler.commands.agent_process import AgentProcess
from reconciler.commands.agent_settings import completed
from reconciler.commands.console import console_of
from reconciler.commands.flags import CLUSTERS, CONNECTION, GLOBAL, with_flags
from reconciler.commands.inputs import load_settings
from reconciler.errors import Refused

if TYPE_CHECKING:
    from reconciler.settings import Settings


@click.command("run")
@click.option("--mode", type=click.Choice(("observe", "plan", "apply")), help="Override the mode of all clusters.")
@click.option("--once", is_flag=True, help="Reconcile each cluster once, then end with the usual exit codes.")
@click.option("--path", metavar="DIR", help="Use this folder instead of the configured source.")
@click.option("--detailed-exitcode", is_flag=True, help="With --once: exit 2 on drift.")
@click.option("--log-format", type=click.Choice(("text", "json")), default="text", show_default=True)
@with_flags(*CLUSTERS, *CONNECTION, *GLOBAL)
def command(once: bool, detailed_exitcode: bool, log_format: str, **flags: Any) -> int:
    """Run the agent: keep every cluster in sync with its manifests, or only report, until it is stopped."""
    from reconciler.agent.log import Log

    console = console_of(flags)
    flags["unattended"] = True
    loaded = load_settings(flags, console)
    _check_account(loaded)
    settings = completed(loaded, flags)
    log = Log(say, form=log_format, verbose=console.verbose, redact=settings.redactor.redact)
    with ExitStack() as stack:
        agent = stack.enter_context(AgentProcess.open(settings, flags, log.observe))
        if not once:
            stack.enter_context(agent.web_server())
            stack.enter_context(agent.notifier())
        code = agent.run(once=once)
    if code == 0 and once and detailed_exitcode:
        return 2 if any(one.drift for one in agent.status_store.status.clusters.values()) else 0
    return code


def _check_account(settings: Settings) -> None:
    """Refuse to run as root where the image or the unit forbids it, even if other settings were overridden."""
    if os.geteuid() == 0 and settings.login_sources.environ.get("RECONCILER_UNPRIVILEGED") == "true":
        raise Refused("the agent does not run as root here: run it as another user (in the image: 65532)")
