"""The deployments of the sandbox: names that stand for a model."""

from collections.abc import Mapping

from bot.sandbox.catalogue import Catalogue
from bot.sandbox.model import SandboxModel
from bot.sandbox.problems import not_found


class Deployments:
    """`names` maps a deployment's owner/name to the owner/name of its model."""

    def __init__(self, names: Mapping[str, str], catalogue: Catalogue) -> None:
        self._names = dict(names)
        self._catalogue = catalogue

    def model(self, full_name: str) -> SandboxModel:
        """Raises the 404 of an unknown deployment."""
        if full_name not in self._names:
            raise not_found()
        return self._catalogue.named(self._names[full_name])
