"""A model that cannot be loaded, for the tests."""

from cog import BaseRunner


class Broken(BaseRunner):
    def setup(self) -> None:
        raise RuntimeError("weights.safetensors is missing")

    def run(self, prompt: str) -> str:
        return prompt
