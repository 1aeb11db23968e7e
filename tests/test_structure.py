"""The structure as a test: how many nouns there are, what packages export, and how large functions are."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.test_layers import PACKAGE, imports, modules, noun

MOST_NOUNS = 27  # of `ls reconciler`
MOST_ARGUMENTS = 6
MOST_BRANCHES = 12
MOST_INIT_LINES = 80


def functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{path.relative_to(PACKAGE.parent)}:{node.lineno} {node.name}", node


def test_ls_is_the_architecture() -> None:
    nouns = {noun(path) for path in modules()} - {"__init__", "__main__"}
    assert len(nouns) <= MOST_NOUNS, sorted(nouns)


def test_no_module_lies_beside_its_only_importer() -> None:
    """At the top, where `ls` is the architecture; `live` reads clusters, so that `reconcile` has only the pipeline."""
    importers: dict[str, set[str]] = defaultdict(set)
    for path in modules():
        for _, name in imports(path):
            root, _, rest = name.partition(".")
            other = rest.partition(".")[0]
            if root == "reconciler" and noun(path) not in (other, "__main__") and not other.startswith("_"):
                importers[other].add(noun(path))
    single = {name for name, who in importers.items() if len(who) == 1 and (PACKAGE / f"{name}.py").exists()}
    assert single - {"cli"} == {"live"}  # the console script starts `cli`


def test_packages_export_and_do_nothing_else() -> None:
    for path in (path for path in modules() if path.name == "__init__.py"):
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= MOST_INIT_LINES, path
        for node in ast.parse(text).body:
            docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            exports = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("__all__", "__version__")
            assert docstring or exports or isinstance(node, ast.Import | ast.ImportFrom), f"{path}:{node.lineno}"


def test_nothing_takes_more_than_six_arguments() -> None:
    found = []
    for path in modules():
        for where, node in functions(path):
            names = [one.arg for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            options = any(ast.unparse(one).startswith(("click.", "options(")) for one in node.decorator_list)
            if len([name for name in names if name not in ("self", "cls")]) > MOST_ARGUMENTS and not options:
                found.append(where)
    assert found == []


def test_no_function_has_more_than_twelve_branches() -> None:
    words = ["check", "--isolated", "--select", "C901", "--config", f"lint.mccabe.max-complexity={MOST_BRANCHES}"]
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *words, str(PACKAGE)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_one_class_name_means_one_thing() -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(str(path.relative_to(PACKAGE)))
    assert {name: where for name, where in homes.items() if len(where) > 1} == {}


def test_a_file_name_that_exists_twice_is_the_same_subject_at_another_layer() -> None:
    """`plan/drift.py` finds drift, `render/drift.py` shows it, `commands/drift.py` is the command."""
    same = {"drift", "plan", "accept", "outputs", "report", "impacts", "references", "multicluster", "history"}
    homes: dict[str, set[str]] = defaultdict(set)
    for path in modules():
        if noun(path) != "simulator" and not path.name.startswith("__"):
            homes[path.stem].add(noun(path))
    assert {name: sorted(where) for name, where in homes.items() if len(where) > 1 and name not in same} == {}
