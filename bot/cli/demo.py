"""`python -m bot demo`: runs the bot, the page and the sandbox on this machine, without a token."""

import argparse
import asyncio
import os
import select
import socket
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from bot.cli.own_servers import offer_local_models
from bot.cli.terminal import print_errors, print_text
from bot.sandbox.ids import new_api_token
from bot.settings import Settings, load_configured_backends, load_settings
from bot.telemetry import logs

if TYPE_CHECKING:
    from bot.sandbox.server import SandboxThread

BADGE = "sandbox: rules, not AI"
_PLATFORM_SECRETS = ("discord_token", "slack_bot_token", "slack_app_token", "slack_signing_secret", "web_token")
# A person waits for the demo to stop; the next start resumes unfinished jobs.
MAX_GRACE_SECONDS = 2.0


@print_errors
def main(arguments: Sequence[str]) -> int:
    options = _create_parser().parse_args(arguments)
    if options.output and not options.once:
        _create_parser().error("--output goes with --once")
    sandbox = DemoSandbox()
    try:
        if options.once:
            return _run_once(options.once, options.output, sandbox)
        return _serve_page(options, sandbox)
    finally:
        sandbox.stop()


class DemoSandbox:
    """A sandbox that listens at once, and is loaded with the first request.

    Loading takes a fifteenth of a start and 3 MB: the page answers earlier, before a person has asked for anything.
    """

    def __init__(self) -> None:
        self.token = new_api_token()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stop_reader, self._stop_writer = socket.socketpair()
        self._loader = threading.Thread(target=self._load_at_first_request, name="sandbox loader", daemon=True)
        self._thread: SandboxThread | None = None

    def start(self) -> str:
        """Begin to wait for a request, and return the base URL."""
        self._loader.start()
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def stop(self) -> None:
        """Block until the server has stopped. Harmless before a start."""
        self._stop_writer.close()
        if self._loader.is_alive():
            self._loader.join()
        if self._thread is not None:
            self._thread.stop()
        self._stop_reader.close()
        self._listener.close()

    def _load_at_first_request(self) -> None:
        # The system accepts connections meanwhile: the server finds the first request waiting.
        readable, _, _ = select.select([self._listener, self._stop_reader], [], [])
        if self._stop_reader in readable:
            return
        from bot.cli.sandbox import find_documents
        from bot.sandbox.server import SandboxOptions, SandboxThread

        self._thread = SandboxThread(SandboxOptions(token=self.token, docs=find_documents()), self._listener)
        self._thread.start()


def _create_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bot demo", description=__doc__)
    parser.add_argument("--once", metavar="LINE", help='one command without a browser, e.g. "/imagine a fox"')
    parser.add_argument("--output", "-o", type=Path, metavar="FILE", help="where --once writes its picture")
    parser.add_argument("--port", type=int, help="the page's port; the next free one when it is taken")
    parser.add_argument("--no-browser", action="store_true", help="do not open the page")
    return parser


def _run_once(line: str, output: Path | None, sandbox: DemoSandbox) -> int:
    """Run a command in a temporary data folder and return the exit code."""
    with tempfile.TemporaryDirectory(prefix="easel-", ignore_cleanup_errors=True) as folder:
        settings = _make_settings(sandbox, Path(folder))
        logs.configure_logging("ERROR", settings.log_format, settings.list_secrets())
        return asyncio.run(_run_command(settings, line, output))


async def _run_command(settings: Settings, line: str, output: Path | None) -> int:
    # Imported here: `demo --help` stays quick.
    from bot.app import App
    from bot.platforms.console.platform import ConsolePlatform

    app = App(settings, badge=BADGE)
    # A script has nobody to ask: there a question ends the command.
    answers = sys.stdin if sys.stdin.isatty() else None
    console = ConsolePlatform(sys.stdout, output=output, find_path=app.media.find_path, answers=answers)
    await app.open(console)
    try:
        return await console.run_once(line, app.dispatcher)
    finally:
        await app.close()


def _serve_page(options: argparse.Namespace, sandbox: DemoSandbox) -> int:
    from bot.cli.run import serve
    from bot.platforms.web.authenticators import DemoAuthenticator
    from bot.telemetry.metrics import run_measured

    # Containers and hosting services name the port in PORT.
    port = options.port if options.port is not None else int(os.environ.get("PORT") or 0)
    settings = _make_settings(sandbox, load_settings().data_dir / "demo", port)
    if (offer := offer_local_models(settings.data_dir)) is not None:
        path, sentence = offer
        settings = settings.model_copy(update={"catalogue_path": path})
        print_text(sentence)
    logs.configure_logging("WARNING", settings.log_format, settings.list_secrets())

    def open_browser(address: str) -> None:
        print_text(f"Easel is at {address}  (Ctrl-C stops it)")
        if not options.no_browser and _has_display():
            webbrowser.open(address)

    run_measured(
        serve(settings, lambda *_: DemoAuthenticator(), report_address=open_browser, badge=BADGE, find_free=True)
    )
    return 0


def _make_settings(sandbox: DemoSandbox, data_dir: Path, port: int = 0) -> Settings:
    """Return the person's settings, with the sandbox for Replicate and without any way in from outside."""
    settings = load_settings()
    # Servers of a person's own catalogue file may cost money too.
    own_catalogue = None if load_configured_backends(settings) else settings.catalogue_path
    # A demo beside a configured bot must not sign in to chat platforms, spend money or touch the real database.
    changes: dict[str, object] = dict.fromkeys(_PLATFORM_SECRETS)
    changes |= {
        "replicate_base_url": sandbox.start(),
        "replicate_api_token": SecretStr(sandbox.token),
        "database_url": None,
        "data_dir": data_dir,
        "catalogue_path": own_catalogue,
        "public_url": None,
        "http_host": "127.0.0.1",
        "http_port": port or settings.http_port,
        "shutdown_grace_seconds": min(settings.shutdown_grace_seconds, MAX_GRACE_SECONDS),
    }
    return settings.model_copy(update=changes)


def _has_display() -> bool:
    if not sys.stdout.isatty():
        return False
    return sys.platform in ("win32", "darwin") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
