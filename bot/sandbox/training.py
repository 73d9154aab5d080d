"""One training and its JSON: a prediction whose output is a new version of another model."""

from dataclasses import dataclass
from typing import Any

from bot.sandbox.predictions import SandboxPrediction

_ONLY_OF_PREDICTIONS = ("data_removed", "deployment")


@dataclass(eq=False)
class SandboxTraining(SandboxPrediction):
    """`destination` is the owner/name of the model that gets the version."""

    destination: str = ""

    def build_body(self, base_url: str) -> dict[str, Any]:
        """The JSON of GET /v1/trainings/{id}. The document knows no output that is null."""
        body = super().build_body(base_url)
        left_out = [*_ONLY_OF_PREDICTIONS, *(["output"] if self.output is None else [])]
        return {name: value for name, value in body.items() if name not in left_out}

    def _urls(self, base_url: str) -> dict[str, str]:
        get = f"{base_url}/v1/trainings/{self.id}"
        return {"get": get, "cancel": f"{get}/cancel", "web": f"{base_url}/p/{self.id}"}
