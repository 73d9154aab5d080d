"""The models of the sandbox by name and by version id."""

from collections.abc import Iterable, Iterator

from bot.sandbox.model import SandboxModel
from bot.sandbox.problems import invalid_version, not_found


class Catalogue:
    def __init__(self, models: Iterable[SandboxModel]) -> None:
        self._by_name = {model.full_name: model for model in models}
        self._by_version = {model.version: model for model in self._by_name.values()}

    def __iter__(self) -> Iterator[SandboxModel]:
        return iter(self._by_name.values())

    def named(self, full_name: str) -> SandboxModel:
        """Raises the 404 of an unknown model."""
        model = self._by_name.get(full_name)
        if model is None:
            raise not_found()
        return model

    def official(self, full_name: str) -> SandboxModel:
        """For POST /v1/models/…/predictions, which exists for official models only."""
        model = self.named(full_name)
        if not model.is_official:
            raise not_found()
        return model

    def by_version(self, version: str) -> SandboxModel:
        """`owner/name` of an official model, `owner/name:64hex`, or 64 hex alone. Raises the 422 of a wrong one."""
        name, _, given = version.partition(":") if "/" in version else ("", "", version)
        model = self._by_version.get(given) if given else self._by_name.get(name)
        if model is None or (name and model.full_name != name) or (not given and not model.is_official):
            raise invalid_version()
        return model
