"""Runs verbs against a sandbox in a thread: each verb runs an event loop. Returns the output."""

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from bot.cli import main
from bot.sandbox.server import SandboxOptions, SandboxThread


@dataclass
class OwnerTerminal:
    """The owner at a terminal, with the token of a sandbox."""

    thread: SandboxThread
    capsys: pytest.CaptureFixture[str]

    def run(self, line: str, *, code: int = 0) -> str:
        """Run a verb, check the exit code, and return the output of both streams."""
        assert main(line.split()) == code, self.capsys.readouterr()
        output = self.capsys.readouterr()
        return output.out + output.err

    def post(self, path: str, body: dict[str, Any]) -> None:
        """Call the API directly, for preparations without a verb."""
        headers = {"Authorization": f"Bearer {self.thread.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.thread.url + path, json.dumps(body).encode(), headers)  # noqa: S310 - our sandbox
        with urllib.request.urlopen(request):  # noqa: S310 - our sandbox
            pass


def make_owner_terminal(
    options: SandboxOptions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[OwnerTerminal]:
    """Yield a terminal with REPLICATE_BASE_URL and REPLICATE_API_TOKEN set."""
    thread = SandboxThread(options)
    monkeypatch.setenv("REPLICATE_BASE_URL", thread.start())
    monkeypatch.setenv("REPLICATE_API_TOKEN", thread.token)
    yield OwnerTerminal(thread, capsys)
    thread.stop()
