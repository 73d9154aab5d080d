"""A browser per session, and a visitor of a demo per test."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from bot.cli.sandbox import find_documents
from bot.core.ids import new_id
from bot.sandbox.server import SandboxOptions, SandboxThread
from tests.browser.demo import open_demo
from tests.browser.visitor import PageVisitor
from tests.conftest import is_required

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page


FAST_SPEED = 0.05
"""Models run at 20 times the speed."""

# Debian's headless shell is the same engine without windows, and takes two thirds of the CPU time.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")

# The window of each context keeps pages loaded for the menu of the address bar, and they take half of the CPU time.
ADDRESS_BAR_FEATURES = ("WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "AimEnabled")
# Chromium reads the last list of features alone: what Playwright switches off is named again.
FEATURES_OFF = (
    *(*ADDRESS_BAR_FEATURES, "AvoidCorsURLLoaderRestartOnRedirect", "AvoidUnnecessaryBeforeUnloadCheckSync"),
    *("DestroyProfileOnBrowserClose", "HttpsFirstBalancedModeAutoEnable", "HttpsUpgrades", "LensOverlay"),
    *("MediaRouter", "NetworkTimeServiceQuerying", "OptimizationHints", "PaintHolding", "PreconnectToSearch"),
    "ThirdPartyStoragePartitioning",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser/" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium(request: pytest.FixtureRequest) -> str:
    """Return Chromium's path. Skip without Chromium or Playwright; fail if --require-browser is given."""
    found = next(filter(None, map(shutil.which, (os.environ.get("CHROME", ""), *NAMES))), None)
    reason = "" if found else "there is no Chromium here (on Debian: apt-get install chromium)"
    try:
        import playwright  # noqa: F401 - looked for
    except ImportError:
        reason = "Playwright is not installed (pip install -r requirements-browser.lock)"
    if reason and is_required("browser", request.config):
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    return found or ""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(chromium: str) -> AsyncIterator["Browser"]:
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        options = [f"--disable-features={','.join(FEATURES_OFF)}"]
        if os.name == "posix" and os.geteuid() == 0:
            options.append("--no-sandbox")  # root has no sandbox
        browser = await playwright.chromium.launch(executable_path=chromium, args=options)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
def sandbox(chromium: str) -> Iterator[SandboxThread]:
    yield from _run_sandbox(FAST_SPEED)


@pytest.fixture(scope="session")
def slow_sandbox(chromium: str) -> Iterator[SandboxThread]:
    """A sandbox with models slow enough to interrupt."""
    yield from _run_sandbox(1.0)


def _run_sandbox(speed: float) -> Iterator[SandboxThread]:
    thread = SandboxThread(SandboxOptions(docs=find_documents(), speed=speed))
    thread.start()
    yield thread
    thread.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def demo_address(sandbox: SandboxThread, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The address of a page shared by tests. Each test has a separate conversation."""
    async with open_demo(tmp_path_factory.mktemp("house"), sandbox, daily_credits=100_000) as address:
        yield address


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_visitor(browser: "Browser", demo_address: str) -> AsyncIterator[PageVisitor]:
    context = await browser.new_context()
    yield await PageVisitor.open_page(context, demo_address)
    await context.close()


@pytest.fixture
def module_page(shared_visitor: PageVisitor) -> Iterator["Page"]:
    """The page of the session, for tests that call functions of the page's modules and leave nothing behind."""
    yield shared_visitor.page
    complaints = shared_visitor.complaints[:]
    shared_visitor.complaints.clear()
    assert complaints == []


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(
    request: pytest.FixtureRequest, browser: "Browser", sandbox: SandboxThread, demo_address: str, tmp_path: Path
) -> AsyncIterator[PageVisitor]:
    """A person with the newly opened page.

    The mark `visit` chooses slow models or an amount of daily credits, both in a separate demo, and options of
    Playwright's context.
    """
    mark = request.node.get_closest_marker("visit")
    options: dict[str, Any] = dict(mark.kwargs) if mark else {}
    models = request.getfixturevalue("slow_sandbox") if options.pop("slow", False) else sandbox
    credits_ = options.pop("daily_credits", 1000 if models is not sandbox else None)
    address = demo_address
    async with AsyncExitStack() as stack:
        if credits_ is not None:
            address = await stack.enter_async_context(open_demo(tmp_path, models, daily_credits=credits_))
        context = await browser.new_context(**{"viewport": {"width": 1200, "height": 860}, **options})
        stack.push_async_callback(context.close)
        visitor = await PageVisitor.open_page(context, f"{address}#c/{new_id()}")
        yield visitor
    assert visitor.complaints == []
