"""A sandbox in a thread for verbs, which run event loops of their own, and what they said."""

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
    """Somebody at a terminal, with the token of a sandbox."""

    thread: SandboxThread
    capsys: pytest.CaptureFixture[str]

    def run(self, line: str, *, code: int = 0) -> str:
        """Do a verb; gives what it said, on either stream."""
        assert main(line.split()) == code, self.capsys.readouterr()
        told = self.capsys.readouterr()
        return told.out + told.err

    def post(self, path: str, body: dict[str, Any]) -> None:
        """A call of the API that no verb makes."""
        headers = {"Authorization": f"Bearer {self.thread.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.thread.url + path, json.dumps(body).encode(), headers)  # noqa: S310 - our sandbox
        with urllib.request.urlopen(request):  # noqa: S310 - our sandbox
            pass


def make_owner_terminal(
    options: SandboxOptions, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[OwnerTerminal]:
    """With REPLICATE_BASE_URL and its token set."""
    thread = SandboxThread(options)
    monkeypatch.setenv("REPLICATE_BASE_URL", thread.start())
    monkeypatch.setenv("REPLICATE_API_TOKEN", thread.token)
    yield OwnerTerminal(thread, capsys)
    thread.stop()
