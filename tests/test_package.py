"""The package as `pip install` brings it: built from the tree, installed elsewhere, used by its command."""

import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, built by the build backend of the test environment: nothing is downloaded."""
    folder = tmp_path_factory.mktemp("wheel")
    build = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(folder)], cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("easel_bot-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts folder of a new environment that holds the wheel and, by a .pth file, the locked dependencies."""
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment, with_pip=False, symlinks=os.name != "nt")
    places = sysconfig.get_paths(vars={"base": str(environment), "platbase": str(environment)})
    packages = Path(places["purelib"])
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    (packages / "locked.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return Path(places["scripts"])


def test_the_wheel_names_the_distribution_and_its_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        info = f"easel_bot-{PYPROJECT['project']['version']}.dist-info"
        metadata = archive.read(f"{info}/METADATA").decode()
        commands = archive.read(f"{info}/entry_points.txt").decode()

    assert "Name: easel-bot\n" in metadata
    assert "License-Expression: MIT\n" in metadata
    assert "easel = bot.__main__:run" in commands


def test_the_wheel_carries_every_file_of_the_bot_and_every_page_of_the_documentation(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    source = {path.relative_to(ROOT).as_posix() for path in (ROOT / "bot").rglob("*") if is_source(path)}
    pages = {f"bot/documents/{path.name}" for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]}

    assert packed >= source | pages


def is_source(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts


def test_an_installed_easel_draws_and_answers_from_its_documentation(installed: Path, tmp_path: Path) -> None:
    easel = entry_point(installed)

    drawn = subprocess.run(
        [*easel, "demo", "--once", "/imagine a fox", "--output", "fox.png"],
        **in_an_empty_folder(tmp_path),
    )
    answered = subprocess.run(
        [*easel, "demo", "--once", "/chat how do I connect Slack?"], **in_an_empty_folder(tmp_path)
    )

    assert drawn.returncode == 0, drawn.stdout
    with Image.open(tmp_path / "fox.png") as picture:
        assert min(picture.size) >= 256
    assert answered.returncode == 0, answered.stdout
    assert "running.md" in answered.stdout


def entry_point(scripts: Path) -> list[str]:
    """Return the command line that an installer writes into the `easel` script: a call of the named function."""
    python = scripts / ("python.exe" if os.name == "nt" else "python")
    module, _, function = PYPROJECT["project"]["scripts"]["easel"].partition(":")
    return [str(python), "-c", f"from {module} import {function}; {function}()"]


def in_an_empty_folder(folder: Path) -> dict[str, Any]:
    """Options of subprocess.run: outside the tree, without settings of this machine."""
    kept = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "HOME")
    environment = {name: value for name, value in os.environ.items() if name in kept}
    return {
        "cwd": folder,
        "env": environment | {"PYTHONIOENCODING": "utf-8"},
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "text": True,
        "encoding": "utf-8",
        "timeout": 50,
    }
