"""The wheel is complete: built from the checkout, installed in a new environment, run outside the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel with what this environment already has; no network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel, and nothing else, in a new environment that sees this one's libraries; return its bin."""
    home = tmp_path_factory.mktemp("fresh") / "env"
    venv.create(home, with_pip=False)
    command = [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), "install", "--quiet"]
    command += ["--disable-pip-version-check", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home)}))
    libraries = tmp_path_factory.mktemp("libraries")
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        # Not the .pth that leads back to the checkout.
        if entry.suffix != ".pth" and "reconciler" not in entry.name:
            (libraries / entry.name).symlink_to(entry)
    (site / "libraries.pth").write_text(f"{libraries}\n")
    return home / "bin"


def run(installed: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return subprocess.run(
        [str(installed / "reconciler"), *words],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_wheel_carries_schemas_example_licence_and_nothing_of_the_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for schema in (ROOT / "schemas").rglob("*.json"):
        assert f"reconciler/schemas/{schema.relative_to(ROOT / 'schemas')}" in names
    assert "reconciler/example/reconciler.yaml" in names
    for part in ("templates", "static"):
        for file in (ROOT / "reconciler" / "web" / part).iterdir():
            assert f"reconciler/web/{part}/{file.name}" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert [name for name in names if name.startswith(("tests", "schemas", "manifests", "deploy"))] == []


def test_two_builds_give_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


def test_the_installed_command_runs_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    assert run(installed, tmp_path, "--version").stdout.startswith("reconciler ")
    where = subprocess.run(
        [str(installed / "python"), "-c", "import reconciler; print(reconciler.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert str(ROOT) not in where.stdout


def test_the_installed_command_has_its_schemas(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "kinds", "-o", "json")
    assert done.returncode == 0, done.stderr
    assert {row["kind"] for row in json.loads(done.stdout)} >= {"Cluster", "Database", "RedisACL", "Role", "User"}


def test_the_installed_command_validates_a_manifest(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "db.yaml").write_text(
        "apiVersion: reconciler/v1\nkind: Database\nmetadata: {name: one}\nspec: {memory_size: 1GiB}\n"
    )
    done = run(installed, tmp_path, "validate", "-f", "db.yaml")
    assert (done.returncode, done.stderr) == (0, "")
