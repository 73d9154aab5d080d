"""Trains by counting steps: no weights are learnt, and the new version does what its base does."""

import hashlib
import io
import tarfile
from dataclasses import replace

from bot.sandbox.catalogue import SandboxCatalogue
from bot.sandbox.clock import SandboxClock
from bot.sandbox.failures import SandboxModelFailed
from bot.sandbox.listing import SandboxVersion
from bot.sandbox.model import SandboxModel, SandboxOutputKind
from bot.sandbox.run import SandboxRun
from bot.sandbox.training import SandboxTraining

_STEPS, _SECONDS = 20, 5.0
_WEIGHTS_NOTE = "The sandbox trains nothing: this stands where a real training puts its weights.\n"


class Trainer:
    def __init__(self, clock: SandboxClock, catalogue: SandboxCatalogue) -> None:
        self._clock = clock
        self._catalogue = catalogue

    def create_training_model(self, base: SandboxModel, training: SandboxTraining) -> SandboxModel:
        """What the engine runs for `training`."""

        async def perform(run: SandboxRun) -> None:
            run.log("Sandbox trainer: counts steps by rules; no weights are learnt.")
            await run.run_steps(_STEPS, _SECONDS)
            version = self._publish(base, training)
            run.add_file(_weights(), "tar")
            run.text = f"{training.destination}:{version.id}"

        return replace(base, output=SandboxOutputKind.TRAINING, perform=perform)

    def _publish(self, base: SandboxModel, training: SandboxTraining) -> SandboxVersion:
        """The new version goes to the top of the destination's page."""
        if training.destination not in self._catalogue:
            raise SandboxModelFailed("The training destination was deleted while the training ran.")
        page = self._catalogue.find(training.destination)
        version_id = hashlib.sha256(f"sandbox:training:{training.id}".encode()).hexdigest()
        trained = replace(base, owner=page.owner, name=page.name, version=version_id, is_official=False)
        version = SandboxVersion(trained, self._clock.now())
        page.versions.insert(0, version)
        return version


def _weights() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("README.txt")
        entry.size = len(_WEIGHTS_NOTE)
        archive.addfile(entry, io.BytesIO(_WEIGHTS_NOTE.encode()))
    return buffer.getvalue()
