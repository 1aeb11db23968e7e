"""Commands and options of other tools lead to the one that is meant, and every advice names what exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest

from reconciler.cli import COMMANDS, run
from reconciler.commands import habits

ROOT = Path(__file__).resolve().parent.parent.parent
CLICK = [name for name in COMMANDS if name != "simulate"]  # which passes its options on
USAGE = 3


def command(name: str) -> click.Command:
    found: click.Command = import_module(f"reconciler.commands.{name}").command
    return found


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run(list(words)) == USAGE
    first, second = capsys.readouterr().err.splitlines()
    assert second.startswith("See reconciler")
    return first


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("diff", "`reconciler plan`"),
        ("preview", "`reconciler plan`"),
        ("destroy", "`state: absent`"),
        ("delete", "`state: absent`"),
        ("state", "`reconciler history`"),
        ("get", "`reconciler export`"),
        ("sync", "`reconciler apply`"),
        ("up", "`reconciler apply`"),
        ("import", "`reconciler export`"),
        ("status", "`reconciler drift`"),
        ("rollback", "`reconciler apply`"),
        ("aply", "did you mean apply?"),
        ("nonsense", "the commands are validate, plan,"),
    ],
)
def test_a_command_of_another_tool_leads_to_the_one_here(
    name: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert meant in said(capsys, name, "--any", "thing")


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("apply --dry-run", "`reconciler plan`"),
        ("apply -n", "`reconciler plan`"),
        ("plan -n", "`reconciler plan`"),
        ("apply --check", "`reconciler plan`"),
        ("apply -y", "use --yes"),
        ("apply -auto-approve", "use --auto-approve"),
        ("apply --assume-yes", "use --yes"),
        ("plan --auto-approve", "this command does not ask"),
        ("plan -auto-approve", "this command does not ask"),
        ("apply -a", "--cluster or --target"),
        ("export -a", "unless --cluster selects"),
        ("apply --force", "--allow-destroy"),
        ("apply -force", "--allow-destroy"),
        ("history --force", "nothing to force"),
        ("plan -var a=b", "not templates"),
        ("plan -var=a=b", "not templates"),
        ("plan --set a=b", "not templates"),
        ("plan -out plan.json", "use --out"),
        ("plan -target=Database/x", "use --target"),
        ("apply --out plan.json", "`reconciler plan --out FILE`"),
        ("drift --json", "use -o json"),
        ("plan --targets x", "did you mean --target?"),
        ("apply --prun", "did you mean --prune?"),
        ("plan x.yaml", "manifests are named with -f"),
        ("-v plan", "options come after the command"),
    ],
)
def test_an_option_of_another_tool_leads_to_the_one_here(
    words: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert meant in said(capsys, *words.split())


@pytest.mark.parametrize("name", CLICK)
def test_no_advice_names_an_option_that_the_command_lacks_or_one_that_deletes(name: str) -> None:
    known = habits.options_of(command(name))
    for word in habits.OPTIONS:
        option = f"{'-' if len(word) == 1 else '--'}{word}"
        text = habits.option_advice(command(name), option).partition(": ")[2]
        assert option in known or set(habits.mentioned(text)) <= {*known, "--help"} - {"--prune"}


def test_what_leads_somewhere_else_does_not_exist_here() -> None:
    assert set(habits.COMMANDS) & set(COMMANDS) == set()


# --- every message and document ------------------------------------------------------------------------------------

READS = ["plan", "apply", "drift", "accept", "export", "outputs", "snapshot", "run"]
# Modules whose messages mention an option of the command at hand, and the commands that print them.
PRINTED_BY = {
    "agent": ["run"],
    "api/driver.py": READS[:3],
    "client": READS,
    "ledger": READS,
    "kinds": ["plan", "apply"],
    "plan": ["plan", "apply"],
    "plan/plan_file.py": ["apply"],
    "reconcile.py": ["apply"],
    "render": ["plan", "apply", "run"],
    "render/impacts.py": ["plan", "apply"],  # the page of the agent shows the text of `reconciler plan`
    "render/text.py": ["plan", "apply"],
    "commands/inputs.py": ["plan", "apply", "drift", "accept", "validate"],
    "settings": READS,
    "settings/project.py": [name for name in CLICK if name != "demo"],
    "commands/flags.py": ["plan", "apply"],
    "manifests/loader.py": ["validate", "plan", "apply", "drift", "accept"],
    "source/previous.py": ["plan", "apply"],
}
OTHER_PROGRAMS = ("source/", "commands/demo.py", "commands/habits.py", "cli.py")


def messages(path: Path) -> Iterator[str]:
    """Yield the strings of a module that are no docstrings; each part of an f-string is one."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    ours = [node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
    documents = {id(node.body[0].value) for node in ours if node.body and isinstance(node.body[0], ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(one.value) if isinstance(one, ast.Constant) else "X" for one in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents:
            yield node.value


def modules() -> dict[str, Path]:
    package = ROOT / "reconciler"
    found = {str(path.relative_to(package)): path for path in sorted(package.rglob("*.py"))}
    return {name: path for name, path in found.items() if not name.startswith("simulator/")}


def printed_by(name: str) -> list[str]:
    if name.startswith("commands/") and name[len("commands/") : -len(".py")] in CLICK:
        return [name[len("commands/") : -len(".py")]]
    known = [place for place in PRINTED_BY if name == place or name.startswith(f"{place}/")]
    return PRINTED_BY[max(known, key=len)] if known else []


def test_no_message_advises_an_option_that_the_command_at_hand_does_not_have() -> None:
    wrong = []
    for name, path in modules().items():
        if name.startswith(OTHER_PROGRAMS) and name not in PRINTED_BY:
            continue
        for text in messages(path):
            if " " not in text.strip() or re.match(r"--[a-z-]+(/--|: | X$| $)", text):
                continue  # the definition of an option, or one that was given
            for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", re.sub(r"`[^`]*`|reconciler [a-z].*", "", text)):
                lacking = [one for one in printed_by(name) if option not in habits.options_of(command(one))]
                if lacking or not printed_by(name):
                    wrong.append(f"{name}: {option} (printed by {printed_by(name)}, lacking in {lacking}): {text}")
    assert not wrong, "\n".join(wrong)


def documents() -> dict[str, str]:
    found = [*ROOT.glob("*.md"), *(ROOT / "deploy").rglob("*"), *(ROOT / "manifests").rglob("*.md")]
    found += (ROOT / "schemas").glob("*.md")
    found += [path for path in (ROOT / "reconciler").rglob("*") if path.suffix in (".md", ".html")]
    texts = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8", errors="replace")
        for path in found
        if path.is_file() and path.suffix in (".md", ".sh", ".yaml", ".yml", ".html", ".service", ".txt", ".tpl", "")
    }
    return texts | {name: "\n".join(messages(path)) for name, path in modules().items()}


LINE = re.compile(r"(?:[`$>(]|^|<code>|exec |: |&& )\s?reconciler ([a-z-]+\b[^`\n|;<]*)", re.MULTILINE)


def test_every_command_line_in_messages_and_documents_exists() -> None:
    wrong = []
    for name, text in documents().items():
        for line in LINE.findall(text):
            word, _, rest = line.partition(" ")
            if word not in {*COMMANDS, "--help", "--version"}:
                as_code = any(f"{start}reconciler {line}" in text for start in ("`", "<code>", "$ "))
                wrong += [f"{name}: reconciler {line}"] if as_code else []
            elif word in CLICK:
                known = {*habits.options_of(command(word)), "--help", "-h"}
                options = re.findall(r"(?<![\w-])--[a-z][a-z-]+", rest)
                wrong += [f"{name}: reconciler {line}: {one}" for one in options if one not in known]
    assert not wrong, "\n".join(wrong)
