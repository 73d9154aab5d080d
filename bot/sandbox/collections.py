"""The collections of the sandbox: lists of models under a heading, as replicate.com/collections has them."""

from dataclasses import dataclass

from bot.sandbox.listing import SandboxModelPage

_IMAGE_MODELS = ("black-forest-labs/", "stability-ai/sdxl")


@dataclass(frozen=True)
class SandboxCollection:
    """Holds every model whose full name begins with one of `names`; `official` holds the official ones."""

    slug: str
    name: str
    description: str
    names: tuple[str, ...] = ()

    def contains(self, page: SandboxModelPage) -> bool:
        return page.is_official if self.slug == "official" else page.full_name.startswith(self.names)


COLLECTIONS = (
    SandboxCollection("official", "Official models", "Always on, maintained, and called without a version."),
    SandboxCollection("text-to-image", "Generate images", "Models that draw pictures from words.", _IMAGE_MODELS),
    SandboxCollection("super-resolution", "Upscale images", "Models that enlarge pictures.", ("nightmareai/",)),
    SandboxCollection("language-models", "Use LLMs", "Models that answer in words.", ("meta/",)),
    SandboxCollection(
        "image-to-text", "Caption images", "Models that tell about pictures.", ("salesforce/", "andreasjansson/")
    ),
    SandboxCollection("sdxl-fine-tunes", "Train SDXL", "Models that trainings can begin from.", ("stability-ai/sdxl",)),
)
