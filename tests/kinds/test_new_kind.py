"""Two made-up kinds, a collection and a singleton, are added to a copy of the project, as CONTRIBUTING.md describes it:
four files each, and no Python but the row in the simulator. The command line then manages them, the tests that hold for
every kind pass, and where a file is missing a test run gives one message instead of failing tests.

`new_kind/` has the files, each at its path in the project.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reconciler.kinds import load_kinds
from tests.cli import canary
from tests.cli.rig import LIMIT, Cli, environment
from tests.kinds.places import GENERATED, HEADING, PLACES, ROOT

ADDED = Path(__file__).parent / "new_kind"
FILES = sorted(str(path.relative_to(ADDED)) for path in ADDED.rglob("*.*") if path.is_file() and path.suffix != ".pyc")
RECEIVER = {place: next(file for file in FILES if file.startswith(place) and "banner" not in file) for place in PLACES}
SERVED = [f"{verb} /v1/log_receivers" for verb in ("GET", "POST")]
SERVED += [f"{verb} /v1/log_receivers/{{id}}" for verb in ("PUT", "DELETE")]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## How to add a kind\n")[2]

PROJECT = """\
apiVersion: reconciler/v1
clusters:
  - name: here
    urls: [{url}]
    caCert: tls/ca.pem
    username: admin@example.com
    password: {{valueFrom: {{env: REDIS_ENTERPRISE_PASSWORD}}}}
    manifests: [manifests]
"""
MANIFESTS = """\
apiVersion: reconciler/v1
kind: LogReceiver
metadata: {name: audit}
spec: {address: "log.example.com:514"}
---
apiVersion: reconciler/v1
kind: LoginBanner
metadata: {name: cluster}
spec: {enabled: true, text: Authorized use only.}
"""


class Tree:
    """A copy of the project to which the made-up kinds are added."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("reconciler", "schemas", "manifests", "tests"):
            shutil.copytree(ROOT / name, folder / name)
        shutil.copy(ROOT / "pyproject.toml", folder)
        shutil.copytree(ADDED, folder, dirs_exist_ok=True)
        self.generate()

    def python(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *words],
            cwd=self.folder,
            env={**environment(), "PYTHONPATH": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=5 * LIMIT,
            check=False,
        )

    def generate(self) -> None:
        """Do what `make schemas` does."""
        for module, name in re.findall(r"python -m (\S+) >schemas/(\S+)\.new", MAKEFILE):
            done = self.python(module)
            assert done.returncode == 0, done.stderr
            (self.folder / "schemas" / name).write_text(done.stdout, "utf-8")

    @contextmanager
    def without(self, file: str) -> Iterator[None]:
        """Take *file* away for a while."""
        path = self.folder / file
        data = path.read_bytes()
        path.unlink()
        yield
        path.write_bytes(data)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return Tree(tmp_path_factory.mktemp("tree"))


def test_a_kind_is_one_file_in_each_of_four_places() -> None:
    for name in ("receiver", "banner"):
        mine = [place for file in FILES for place in PLACES if name in file and file.startswith(place)]
        assert sorted(mine) == sorted(PLACES)
    assert len(FILES) == 2 * len(PLACES)


def test_every_kind_is_in_every_place(tree: Tree) -> None:
    done = tree.python("tests.kinds.places")
    assert (done.returncode, done.stdout) == (0, f"{len(load_kinds()) + 2} kinds are complete.\n")


@pytest.mark.parametrize(
    ("place", "problems"),
    [
        (
            "reconciler/simulator",
            [f"{verb} is not served" for verb in SERVED],
        ),
        ("tests/kinds/coverage", ["no object of the API is at LogReceiver", "no fields of LogReceiver"]),
        ("manifests/", ["no document has `kind: LogReceiver`"]),
    ],
)
def test_a_missing_place_is_named(tree: Tree, place: str, problems: list[str]) -> None:
    with tree.without(RECEIVER[place]):
        done = tree.python("tests.kinds.places")
    lines = [f"  LogReceiver: {place}: {problem}" for problem in problems]
    assert done.stdout.splitlines() == [HEADING, *lines]
    assert done.returncode == 1


def test_a_wrong_kind_file_is_named_with_its_problem(tree: Tree) -> None:
    path = tree.folder / RECEIVER["schemas/"]
    text = path.read_text("utf-8")
    path.write_text(text.replace('"x-impact": "none"', '"x-impact": "mild"', 1), "utf-8")
    wrong = tree.python("tests.kinds.places").stdout
    path.write_text(text[:-3], "utf-8")
    broken = tree.python("tests.kinds.places").stdout
    path.write_text(text, "utf-8")
    assert wrong.startswith(f"{HEADING}\n  LogReceiver: schemas/: properties.address.x-impact: 'mild' is not valid")
    assert broken.startswith(f"{HEADING}\n  schemas/logreceiver.json: no JSON: ")


def test_what_is_generated_from_the_kinds_is_named_when_it_is_out_of_date(tree: Tree) -> None:
    for name in GENERATED:
        path = tree.folder / "schemas" / name
        text = path.read_text("utf-8")
        path.write_text(text.replace("LogReceiver", "Receiver"), "utf-8")
        assert f"  schemas/{name} is out of date; run: make schemas\n" in tree.python("tests.kinds.places").stdout
        path.write_text(text, "utf-8")


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_a_test_run_with_an_incomplete_kind_is_one_message(tree: Tree, workers: list[str]) -> None:
    with tree.without(RECEIVER["tests/kinds/coverage"]):
        done = tree.python("pytest", "-q", "-p", "no:cacheprovider", *workers, "tests/kinds", "tests/engine")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    said = done.stdout + done.stderr
    assert said.count(HEADING) == 1
    assert "  LogReceiver: tests/kinds/coverage: no fields of LogReceiver\n" in said
    assert not re.search(r"\d+ (passed|failed|errors?)|Traceback", said)


def test_a_row_of_the_simulator_can_be_tested_before_the_rest_exists(tree: Tree) -> None:
    with tree.without(RECEIVER["tests/kinds/coverage"]):
        done = tree.python(
            "pytest", "-q", "-p", "no:cacheprovider", "tests/simulator/test_conformance.py", "-k", "rece"
        )
    assert done.returncode == 0, done.stdout
    assert re.search(r"\d+ passed", done.stdout)


def test_what_holds_for_every_kind_holds_for_the_new_ones(tree: Tree) -> None:
    engine = [f"tests/engine/test_{name}.py" for name in ("every_kind", "fields", "settings", "settings_everywhere")]
    kinds = [f"tests/kinds/test_{name}.py" for name in ("coverage", "kind_files", "settable", "simulator")]
    more = ["tests/cli/test_explain.py", "tests/test_documents.py"]
    chosen = ["-k", "LogReceiver or LoginBanner or log_receiver or login_banner"]
    shutil.copy(ROOT / "README.md", tree.folder)
    shutil.copy(ROOT / "CONTRIBUTING.md", tree.folder)
    done = tree.python("pytest", "-q", "-p", "no:cacheprovider", *kinds, *engine, *more, *chosen)
    assert done.returncode == 0, done.stdout
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) > 50


@pytest.fixture
def cli(tree: Tree, tmp_path: Path) -> Iterator[Cli]:
    """A folder for the command line of the copy, beside its simulator, which runs."""
    cli = Cli(tmp_path / "project", {**environment(), "PYTHONPATH": str(tree.folder)})
    cli.folder.mkdir()
    login = {"SIMULATOR_PASSWORD": canary.LOGIN}
    process = cli.start("simulate", "--port", "0", "--nodes", "1", "--tls-dir", "tls", **login)
    assert process.stdout is not None
    cli.write("reconciler.yaml", PROJECT.format(url=json.loads(process.stdout.readline())["urls"][0]))
    cli.write("manifests/all.yaml", MANIFESTS)
    yield cli
    cli.stop()


def test_the_command_line_manages_the_new_kinds(cli: Cli) -> None:
    assert cli("validate", "--strict").out == "Valid: 2 resources for here.\n"
    planned = cli("plan").out
    assert "  + LogReceiver/audit\n" in planned
    assert "  ~ LoginBanner/cluster\n" in planned
    assert "Apply complete! 1 created, 1 updated, 0 deleted." in cli("apply", "--yes").out
    assert cli("plan", "--detailed-exitcode").out == "No changes.\n"

    cli.edit("manifests/all.yaml", "514", "6514")
    cli.edit("manifests/all.yaml", "Authorized use", "Employees")
    assert "Apply complete! 0 created, 2 updated, 0 deleted." in cli("apply", "--yes").out
    assert cli("plan", "--detailed-exitcode").out == "No changes.\n"

    exported = cli("export", "LogReceiver", "LoginBanner").out
    assert "log.example.com:6514" in exported
    assert "Employees only." in exported
    cli.write("exported.yaml", exported)
    assert cli("plan", "-f", "exported.yaml", "--detailed-exitcode").out == "No changes.\n"

    spec = 'spec: {address: "log.example.com:6514"}'
    cli.edit("manifests/all.yaml", f"{{name: audit}}\n{spec}", "{name: audit, state: absent}")
    assert "Apply complete! 0 created, 0 updated, 1 deleted." in cli("apply", "--yes").out
    assert cli("plan", "--detailed-exitcode").out == "No changes.\n"


def test_explain_and_kinds_know_the_new_kinds(tree: Tree, tmp_path: Path) -> None:
    cli = Cli(tmp_path, {**environment(), "PYTHONPATH": str(tree.folder)})
    assert "A receiver of the cluster's event log." in cli("explain", "LogReceiver").out
    assert "Time limit of one delivery." in cli("explain", "LogReceiver.timeout").out
    assert {"LogReceiver", "LoginBanner"} <= set(re.findall(r"^(\w+)", cli("kinds").out, re.MULTILINE))


def test_what_contributors_read_lists_the_places_that_are_checked() -> None:
    table = CONTRIBUTING.partition("| place |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE) == list(PLACES)
    assert "make schemas" in CONTRIBUTING
    assert "python -m tests.kinds.places" in CONTRIBUTING


@pytest.mark.parametrize("place", PLACES)
def test_what_contributors_read_shows_an_example_of_each_place(place: str) -> None:
    file = RECEIVER[place]
    _, named, rest = CONTRIBUTING.partition(f"[{file}](tests/kinds/new_kind/{file})")
    assert named, f"CONTRIBUTING.md does not show {file}"
    shown = re.search(r"```\w+\n(.*?)```", rest, re.DOTALL)
    assert shown is not None
    assert shown.group(1) == (ADDED / file).read_text("utf-8")
