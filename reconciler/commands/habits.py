"""Commands and options of other tools, and the command here that does the same. `cli` asks when one is unknown.

Every advice names only commands and options that exist: a test compares them with click's definitions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import click

_ABSENT = "objects are deleted by `state: absent` in their manifest, or by `reconciler apply --prune` once undeclared"
_EXPORT = "`reconciler export` writes manifests of what a cluster has"
_APPLY = "`reconciler apply` shows the plan, asks, and applies it"
_AGENT = "`reconciler run` is the agent that keeps clusters in sync with git"
_EARLIER = "check out the earlier manifests in git, then use `reconciler apply`"
_CONFIGURED = "clusters and logins are in reconciler.yaml or in variables; see `reconciler explain project`"

_COMMANDS: tuple[tuple[str, str], ...] = (
    ("diff preview check compare what-if whatif", "use `reconciler plan`"),
    ("show", "`reconciler plan` shows what an apply would do, `reconciler apply PLANFILE` a saved plan before it asks"),
    ("up deploy create patch replace update push upgrade", _APPLY),
    ("sync reconcile", f"{_APPLY}; {_AGENT}"),
    ("agent server serve watch start daemon operator controller", _AGENT),
    ("destroy delete down remove rm uninstall prune", _ABSENT),
    ("get list ls dump pull", f"{_EXPORT}, `reconciler outputs` the endpoints of databases"),
    ("describe", "`reconciler explain KIND` documents a kind, `reconciler export KIND` writes its live objects"),
    ("import adopt", f"{_EXPORT}; applying them unchanged adopts the objects"),
    ("init", f"nothing has to be initialised; {_EXPORT}"),
    (
        "state workspace taint untaint",
        "no state is edited: `reconciler history` lists runs, `reconciler export` objects",
    ),
    ("refresh status detect", "`reconciler drift` shows where clusters differ from their manifests"),
    ("output endpoints", "use `reconciler outputs`"),
    ("log logs runs events audit", "use `reconciler history`"),
    ("rollback undo", _EARLIER),
    ("lint test verify", "`reconciler validate` checks manifests without network access"),
    ("fmt format", "there is no formatter; `reconciler validate` checks manifests"),
    ("api-resources providers schema docs", "use `reconciler kinds` and `reconciler explain`"),
    ("help man", "use `reconciler --help`, or --help after a command"),
    ("version", "use `reconciler --version`"),
    ("login auth config", _CONFIGURED),
    ("sim simulator mock", "use `reconciler simulate`"),
)

_PLAN = "`reconciler plan` shows what an apply would do and writes nothing"
_CA = "use --ca-cert with the CA certificate of the cluster"
_IN_PROJECT = "clusters are set in reconciler.yaml"

# Options of other tools, and what to use here: the first advice whose options the command has.
_OPTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "y auto-approve approve assume-yes no-confirm non-interactive skip-preview no-input input confirm",
        ("use --yes", "this command does not ask"),
    ),
    ("n dry-run dryrun noop preview diff check what-if plan", (_PLAN,)),
    (
        "force force-conflicts ignore-errors",
        (
            "there is no general force; consent names each object: --allow-destroy, --allow-impact, --ignore-freeze",
            "this command has nothing to force",
        ),
    ),
    (
        "var var-file set values e extra-vars",
        ("manifests are not templates: layers differ by cluster, and valueFrom takes secrets from elsewhere",),
    ),
    (
        "a A all all-namespaces",
        (
            "all clusters and manifests are included unless --cluster or --target selects some",
            "all clusters are included unless --cluster selects some",
            "nothing is left out by default",
        ),
    ),
    ("destroy delete", (_ABSENT,)),
    ("refresh refresh-only", ("clusters are read for every plan; `reconciler drift` shows what changed",)),
    ("json format output-format", ("use -o json", "this command has one format")),
    ("replace", ("a plan replaces an object where a changed field requires it",)),
    (
        "u user username p password token",
        ("the login is in reconciler.yaml, or in REDIS_ENTERPRISE_USER and REDIS_ENTERPRISE_PASSWORD",),
    ),
    ("k insecure-skip-tls-verify skip-tls-verify no-verify tls-skip-verify", (_CA, _IN_PROJECT)),
    ("host endpoint server address H", ("use --url", _IN_PROJECT)),
    ("context namespace kubeconfig l selector", ("use --cluster", _IN_PROJECT)),
    ("filename R recursive manifests i", ("use -f; folders are read with all folders below", _IN_PROJECT)),
    ("state statefile backend-config", ("use --state-dir", "this command keeps no state")),
    ("c config chdir", ("use --project", "run it in the folder of reconciler.yaml")),
    ("concurrency j jobs forks", ("use --parallelism", "this command has no such limit")),
    ("out", ("`reconciler plan --out FILE` saves a plan",)),
    ("wait timeout lock-timeout lock", ("`reconciler apply` locks its clusters and waits by itself",)),
)

COMMANDS = {name: advice for names, advice in _COMMANDS for name in names.split()}
OPTIONS = {name: advices for names, advices in _OPTIONS for name in names.split()}

_SINGLE_DASH = re.compile(r"-([A-Za-z][A-Za-z-]+)(?:=.*)?", re.DOTALL)
_QUOTED = re.compile(r"`[^`]*`")  # another command
_MENTIONED = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")
_NEAR = 0.8  # a less similar name is not a typing mistake


def command_advice(name: str, known: Sequence[str]) -> str:
    """Return what to use in place of the unknown command *name*."""
    if found := COMMANDS.get(name.lower()):
        return found
    near = _near(name, known)
    return f"did you mean {near}?" if near else f"the commands are {', '.join(known)}"


def single_dash(command: click.Command, arguments: Iterable[str]) -> str:
    """Return advice on the first of *arguments* that is a long option with one dash, `-target`; "" without any.

    click would read it as a row of short options: `-force` as `-f orce`.
    """
    known = options_of(command)
    for argument in arguments:
        if argument == "--":
            break
        found = _SINGLE_DASH.fullmatch(argument)
        if found and (f"--{found[1]}" in known or found[1] in OPTIONS):
            return option_advice(command, f"-{found[1]}")
    return ""


def option_advice(command: click.Command, name: str) -> str:
    """Return the message about the unknown option *name* of *command*."""
    known = options_of(command)
    word = name.lstrip("-")
    advices = OPTIONS.get(word, ())
    advice = next((one for one in advices if set(mentioned(one)) <= set(known)), "")
    if f"--{word}" in known:
        advice = f"use --{word}"
    elif not advice:
        near = _near(f"--{word}", [one for one in known if one.startswith("--")])
        advice = f"did you mean {near}?" if near else "see --help"
    return f"{command.name} has no option {name}: {advice}"


def options_of(command: click.Command) -> list[str]:
    """Return the names of all options of *command*."""
    return [name for one in command.params for name in (*one.opts, *one.secondary_opts) if name.startswith("-")]


def mentioned(text: str) -> list[str]:
    """Return the options that *text* mentions as those of the command at hand."""
    return _MENTIONED.findall(_QUOTED.sub("", text))


def _near(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    known = list(known)
    begins = [one for one in known if len(name) > 4 and one.startswith(name)]
    return begins[0] if len(begins) == 1 else next(iter(get_close_matches(name, known, 1, _NEAR)), "")
