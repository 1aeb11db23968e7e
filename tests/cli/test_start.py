"""The command starts quickly, because it loads what it needs and no more; and its help is complete."""

from __future__ import annotations

import subprocess
import sys

import pytest

from reconciler.cli import COMMANDS
from tests.cli import canary
from tests.cli.rig import ROOT, Cli

HEAVY = ("httpx", "deepdiff", "jsonschema", "sqlite3", "cryptography", "uvicorn", "yaml", "asyncio")


def loaded(*words: str, code: int = 0) -> set[str]:
    """Return the modules that a command has loaded when it ends."""
    program = (
        "import sys, os\nsys.argv[0] = 'reconciler'\nfrom reconciler.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n"
        "    print('\\n' + ' '.join(sys.modules), file=sys.stderr)\n    os._exit(end.code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=ROOT / "manifests", capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("words", [("--help",), ("-h",), (), ("--version",)])
def test_help_and_version_load_no_library_at_all(words: tuple[str, ...]) -> None:
    modules = loaded(*words)
    assert modules.isdisjoint({*HEAVY, "click", "typing", "reconciler.errors", "reconciler.commands"})


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_of_a_command_loads_nothing_heavy(name: str) -> None:
    if name == "simulate":
        assert "uvicorn" not in loaded("kinds", "--help")
        return
    assert loaded(name, "--help").isdisjoint(HEAVY)


def test_validate_of_what_is_right_loads_no_second_validator_and_no_network() -> None:
    modules = loaded("validate", "-f", "base")
    assert modules.isdisjoint({"httpx", "deepdiff", "sqlite3", "ssl", "cryptography"})


def test_a_plan_without_differences_never_loads_deepdiff(applied: Cli) -> None:
    applied.write("sitecustomize.py", "import sys\nsys.modules['deepdiff'] = None\n")
    assert applied("plan", PYTHONPATH=f"{applied.folder}:{ROOT}").out == "No changes.\n"


def test_every_command_has_help(bare: Cli) -> None:
    for name in COMMANDS:
        done = bare(name, "--help")
        assert done.out.lower().startswith("usage: ")
        assert max(map(len, done.out.splitlines())) <= 100


def test_version(bare: Cli) -> None:
    assert bare("--version").out == "reconciler 0.1.0\n"


def test_nothing_at_all_is_a_cry_for_help(bare: Cli) -> None:
    assert bare().out == bare("--help").out


@pytest.mark.parametrize("form", sorted(canary.forms(canary.LOGIN), key=len)[-8:])
def test_the_search_for_secrets_finds_them(bare: Cli, form: bytes) -> None:
    assert canary.found_in(b"said: " + form + b" and more") == [canary.LOGIN]


def test_the_search_for_secrets_looks_into_files(bare: Cli) -> None:
    (bare.folder / "log").write_bytes(b"Authorization: Basic eDo" + canary.ANA.encode().hex().encode())
    with pytest.raises(AssertionError, match="a secret is in"):
        bare("--version")
