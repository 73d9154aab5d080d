"""A model's page: what GET /v1/models/… shows, and the versions that can run."""

from dataclasses import dataclass, field
from datetime import datetime

from bot.sandbox.model import SandboxModel


@dataclass(frozen=True)
class SandboxVersion:
    """`model` is what runs; its `version` is the id."""

    model: SandboxModel
    created_at: datetime

    @property
    def id(self) -> str:
        return self.model.version


@dataclass
class SandboxModelPage:
    """`versions` are newest first. `links` are the addresses that a page may carry, by the API's key."""

    owner: str
    name: str
    description: str
    created_at: datetime
    visibility: str = "public"
    is_official: bool = False
    readme: str | None = None
    links: dict[str, str] = field(default_factory=dict)
    versions: list[SandboxVersion] = field(default_factory=list)

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"

    @property
    def latest(self) -> SandboxVersion | None:
        return self.versions[0] if self.versions else None

    def find_version(self, version_id: str) -> SandboxVersion | None:
        return next((version for version in self.versions if version.id == version_id), None)


def create_model_page(model: SandboxModel, released_at: datetime) -> SandboxModelPage:
    """The page of a model that the sandbox comes with."""
    return SandboxModelPage(
        model.owner,
        model.name,
        model.description,
        released_at,
        is_official=model.is_official,
        readme=f"# {model.name}\n\n{model.description}\n\nIts inputs and outputs are those of {model.full_name}.",
        versions=[SandboxVersion(model, released_at)],
    )
