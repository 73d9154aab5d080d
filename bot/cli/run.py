"""`python -m bot run`: runs the bot and the page with the settings of the environment and `.env`."""

import argparse
import asyncio
import ctypes
import gc
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from bot.app import App
from bot.cli.terminal import print_errors, print_text, wait_for_stop_signal
from bot.core.background_tasks import WORK_FOR_ONE, lower_thread_priority
from bot.platforms.web.auth import Authenticator
from bot.platforms.web.authenticators import InvitationAuthenticator
from bot.platforms.web.platform import WebPlatform
from bot.platforms.web.users import KEY_FILE, WebUsers
from bot.settings import Settings, SettingsError, load_configured_backends, load_settings
from bot.telemetry import logs
from bot.telemetry.logs import describe_origin
from bot.telemetry.metrics import measure_loop_lag, run_measured

MakeAuthenticator = Callable[[App, WebPlatform], Authenticator]

# gc.set_threshold: collect the young generation after 1,000 new objects, the middle after 10 young collections, and
# all objects after 100 middle collections, so after a million new objects.
_GC_THRESHOLDS = (1_000, 10, 100)
_SWITCH_SECONDS = 0.0005
# mallopt(3): the option is -3 in malloc.h; blocks of this size and above are mapped, and unmapped when freed.
_M_MMAP_THRESHOLD, _LARGE_BLOCK_BYTES = -3, 1024 * 1024


@print_errors
def main(arguments: Sequence[str]) -> int:
    argparse.ArgumentParser(prog="python -m bot run", description=__doc__).parse_args(arguments)
    settings = load_settings()
    if settings.replicate_api_token is None and not load_configured_backends(settings):
        raise SettingsError(
            "REPLICATE_API_TOKEN is missing. `python -m bot demo` needs none; see .env.example, and for a server of "
            "your own docs/backends.md."
        )
    logs.configure_logging(settings.log_level, settings.log_format, settings.list_secrets())
    run_measured(
        serve(
            settings,
            _make_authenticator,
            report_address=_print_address,
            badge=make_badge(settings),
            has_connections=True,
        )
    )
    return 0


async def serve(
    settings: Settings,
    make_authenticator: MakeAuthenticator,
    *,
    report_address: Callable[[str], None],
    badge: str = "",
    find_free: bool = False,
    has_connections: bool = False,
) -> None:
    """Run the bot until a stop signal, then drain and close. The verbs `run` and `demo` share this function.

    `report_address` gets the page's address. `has_connections` joins Discord and Slack, as far as the settings hold
    tokens. `find_free` takes the next free port.
    """
    favour_event_loop()
    return_freed_memory()
    app = App(settings, badge=badge)
    web = WebPlatform(app.database, app.clock)
    lag = asyncio.create_task(measure_loop_lag())
    try:
        await app.open(web, connections=app.make_connections() if has_connections else ())
        report_address(await app.serve(web, make_authenticator(app, web), find_free=find_free))
        freeze_startup_objects()
        await wait_for_stop_signal()
        await app.drain()
    finally:
        # Also after a refused sign-in: the database and the platforms that were opened before it close in order.
        lag.cancel()
        await app.close()


def favour_event_loop() -> None:
    """Let worker threads yield to the running event loop: everybody waits for the loop, one person for a thread."""
    loop = asyncio.get_running_loop()
    threads = ThreadPoolExecutor(
        thread_name_prefix="worker", initializer=lower_thread_priority, initargs=(WORK_FOR_ONE,)
    )
    loop.set_default_executor(threads)
    # A thread that computes keeps the interpreter for this long after the loop asks, for 5 ms by default; the loop asks
    # after each of its writes to sockets.
    sys.setswitchinterval(_SWITCH_SECONDS)


def return_freed_memory() -> None:
    """Let the C library give the memory of large blocks back at once, with glibc alone."""
    # Pillow's blocks have 16 MB. glibc takes such blocks from its heaps once one was freed, where a small block above
    # keeps them from the system: hostile pictures one after another held 1.1 GB, and now hold 0.6 GB.
    set_option = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if set_option is not None:
        set_option(_M_MMAP_THRESHOLD, _LARGE_BLOCK_BYTES)


def freeze_startup_objects() -> None:
    """Exempt all present objects from garbage collection; call once, after the start.

    Reference counting, which frees nearly all objects, is not affected.
    """
    # A full collection visits every object, 140,000 of imported modules alone: under load that stopped the event loop
    # for over 0.1 s every few seconds.
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


def _make_authenticator(app: App, web: WebPlatform) -> Authenticator:
    settings = app.settings
    return InvitationAuthenticator(
        WebUsers(app.database, app.clock, web.feed.close_user),
        host=settings.http_host,
        token=settings.web_token.get_secret_value() if settings.web_token else None,
        public_url=settings.public_url,
        key_file=settings.data_dir / KEY_FILE,
    )


def _print_address(address: str) -> None:
    print_text(f"Easel is at {address}", is_error=True)


def make_badge(settings: Settings) -> str:
    """Return the words under each result that name another backend than Replicate; empty for Replicate."""
    # People must not take pictures of a proxy or a sandbox for Replicate's: every result names the other backend.
    official = Settings.model_fields["replicate_base_url"].default
    return "" if settings.replicate_base_url == official else f"by {describe_origin(settings.replicate_base_url)}"
