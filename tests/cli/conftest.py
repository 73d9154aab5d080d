"""Verbs in a folder without anybody's .env, an owner who has a sandbox, and logging left as it was found."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.sandbox.server import SandboxOptions
from tests.cli.sandbox import Owner, owner_of


@pytest.fixture
def owner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Owner]:
    monkeypatch.chdir(tmp_path)
    yield from owner_of(SandboxOptions(speed=0.0), monkeypatch, capsys)


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Verbs set up logging for a process of their own; here many run in one."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
