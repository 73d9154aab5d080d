"""Verbs in a folder without anybody's .env, an owner who has a sandbox, and logging left as it was found."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.sandbox.server import SandboxOptions
from tests.cli.terminal import OwnerTerminal, make_owner_terminal


@pytest.fixture
def owner(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[OwnerTerminal]:
    monkeypatch.chdir(tmp_path)
    yield from make_owner_terminal(SandboxOptions(speed=0.0), monkeypatch, capsys)


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Verbs set up logging for a process of their own; here many run in one."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
