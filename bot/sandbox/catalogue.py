"""The models of the sandbox by name and by version id: those it comes with, and those that people add."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from bot.sandbox.listing import SandboxModelPage, SandboxVersion, create_model_page
from bot.sandbox.model import SandboxModel
from bot.sandbox.problems import make_invalid_version, make_not_found


class SandboxCatalogue:
    """`models` are released one day before the other, the first at `released_at`."""

    def __init__(self, models: Iterable[SandboxModel], released_at: datetime) -> None:
        pages = [create_model_page(model, released_at - timedelta(days=place)) for place, model in enumerate(models)]
        self._pages = {page.full_name: page for page in pages}

    def __iter__(self) -> Iterator[SandboxModelPage]:
        return iter(self._pages.values())

    def __contains__(self, full_name: str) -> bool:
        return full_name in self._pages

    def add(self, page: SandboxModelPage) -> None:
        self._pages[page.full_name] = page

    def remove(self, page: SandboxModelPage) -> None:
        del self._pages[page.full_name]

    def find(self, full_name: str) -> SandboxModelPage:
        """Raises the 404 of an unknown model."""
        page = self._pages.get(full_name)
        if page is None:
            raise make_not_found()
        return page

    def find_official(self, full_name: str) -> SandboxModel:
        """For POST /v1/models/…/predictions, which exists for official models only."""
        page = self.find(full_name)
        if not page.is_official or page.latest is None:
            raise make_not_found()
        return page.latest.model

    def find_by_version(self, version: str) -> SandboxModel:
        """`owner/name` of an official model, `owner/name:64hex`, or 64 hex alone. Raises the 422 of a wrong one."""
        name, _, given = version.partition(":") if "/" in version else ("", "", version)
        pages = [self._pages[name]] if name in self._pages else [] if name else list(self)
        found = [page.find_version(given) if given else _latest_of_official(page) for page in pages]
        for entry in found:
            if entry and (given or name):
                return entry.model
        raise make_invalid_version()


def _latest_of_official(page: SandboxModelPage) -> SandboxVersion | None:
    return page.latest if page.is_official else None
