"""The collections of the sandbox: lists of models under a heading, as replicate.com/collections has them."""

from dataclasses import dataclass

from bot.sandbox.listing import Listing

_PAINTERS = ("black-forest-labs/", "stability-ai/sdxl")


@dataclass(frozen=True)
class Collection:
    """Holds every model whose full name begins with one of `names`; `official` holds the official ones."""

    slug: str
    name: str
    description: str
    names: tuple[str, ...] = ()

    def holds(self, page: Listing) -> bool:
        return page.is_official if self.slug == "official" else page.full_name.startswith(self.names)


COLLECTIONS = (
    Collection("official", "Official models", "Always on, maintained, and called without a version."),
    Collection("text-to-image", "Generate images", "Models that draw pictures from words.", _PAINTERS),
    Collection("super-resolution", "Upscale images", "Models that enlarge pictures.", ("nightmareai/",)),
    Collection("language-models", "Use LLMs", "Models that answer in words.", ("meta/",)),
    Collection(
        "image-to-text", "Caption images", "Models that tell about pictures.", ("salesforce/", "andreasjansson/")
    ),
    Collection("sdxl-fine-tunes", "Train SDXL", "Models that trainings can begin from.", ("stability-ai/sdxl",)),
)
