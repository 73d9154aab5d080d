"""Verbs run in an empty folder, with a sandbox for the owner; logging is restored after each test."""

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
