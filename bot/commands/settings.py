"""/settings: shows, changes and resets the settings of a workspace."""

from collections.abc import Mapping, Sequence

from bot.core.errors import BadOption, RequestRefused
from bot.core.invocations import Invocation
from bot.core.json import JSON
from bot.core.models import Task
from bot.core.people import Rank, Workspace
from bot.core.replies import Reply
from bot.dispatch.declaration import (
    MAX_CHOICES,
    ChannelOption,
    Choice,
    Command,
    OptionValue,
    RoleOption,
    Services,
    command,
    option,
)
from bot.dispatch.workspace_settings import (
    SETTINGS,
    change_and_reply,
    format_settings,
    get_settings,
    require_id,
    suggest_time_zones,
    validate_channel,
    validate_language,
    validate_moderator_role,
    validate_notice_channel,
    validate_time_zone,
)
from bot.moderation.moderation import format_setting_key

_MAX_CONFIRM_CREDITS = 1_000_000

# Settings with a policy for each channel, role or task.
_SETTINGS_WITH_MEMBERS = frozenset({"channels", "moderator_roles", "default_models"})


@command("settings show", rank=Rank.MODERATOR, private=True)
class SettingsShow(Command):
    """Show every setting of this workspace."""

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        settings = await get_settings(services, invocation.user)
        lines = format_settings(settings, invocation.user, services)
        lines.append(await _describe_webhook(invocation, services))
        return Reply(text="\n".join(["This workspace's settings:", *lines]), is_private=True)


async def _describe_webhook(invocation: Invocation, services: Services) -> str:
    workspace = Workspace(invocation.user.platform, invocation.user.workspace)
    return f"- **Results are posted**: {await services.webhooks.describe(workspace)}"


def _suggest_models(services: Services, typed: str, _given: Mapping[str, OptionValue]) -> Sequence[Choice]:
    wanted = typed.strip().lower()
    models = [m for m in services.catalogue.list_all() if wanted in m.key or wanted in m.title.lower()]
    return [Choice(f"{model.title} · /{model.task}", model.key) for model in models][:MAX_CHOICES]


@command("settings model", rank=Rank.MODERATOR, private=True)
class SettingsModel(Command):
    """Choose the model that answers where nobody names one."""

    task: str = option("For which task?", choices=tuple(Task))
    model: str = option(
        "Which model? The first in /models if you say nothing.", default="", autocomplete=_suggest_models
    )

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        key = services.catalogue.choose(Task(self.task), self.model).key if self.model else None
        return await change_and_reply(
            services, invocation.user, {format_setting_key("default_models", self.task): key}, "default_models"
        )


@command("settings channel", rank=Rank.MODERATOR, private=True)
class SettingsChannel(Command):
    """Say which channels I may be used in. All of them until you name one."""

    channel: ChannelOption = option("Which channel?", max_length=100)
    allowed: bool = option("May I be used there?", default=True)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by = invocation.user
        return await change_and_reply(
            services, by, validate_channel(by, self.channel, is_allowed=self.allowed), "channels"
        )


@command("settings moderators", rank=Rank.MODERATOR, private=True)
class SettingsModerators(Command):
    """Make a role's members moderators. This workspace's administrators always are."""

    role: RoleOption = option("Which role or user group?", max_length=100)
    moderates: bool = option("Are its members moderators?", default=True)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by = invocation.user
        settings = await get_settings(services, by)
        return await change_and_reply(
            services,
            by,
            validate_moderator_role(invocation, settings, self.role, moderates=self.moderates),
            "moderator_roles",
        )


@command("settings notices", rank=Rank.MODERATOR, private=True)
class SettingsNotices(Command):
    """Choose the channel for reports and for notices about the budget. I try it with one."""

    channel: ChannelOption = option("Which channel?", max_length=100)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by = invocation.user
        return await change_and_reply(
            services, by, await validate_notice_channel(services, by, self.channel), "moderator_channel"
        )


@command("settings prompt", rank=Rank.MODERATOR, private=True)
class SettingsPrompt(Command):
    """Say how chat models behave here. New conversations begin with it."""

    prompt: str = option("What should they be told?", max_length=4_000, words=True)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by = invocation.user
        return await change_and_reply(services, by, {format_setting_key("system_prompt"): self.prompt}, "system_prompt")


@command("settings chat", rank=Rank.MODERATOR, private=True)
class SettingsChat(Command):
    """Set the language of answers, who may go on, how a mention is answered, and what else chat models do."""

    language: str | None = option("Which language do models answer in?", default=None, max_length=40)
    join: str | None = option("Who may go on with it?", default=None, choices=("everyone", "starter"))
    mention: str | None = option("How is a mention answered?", default=None, choices=("thread", "reply", "off"))
    tools: str | None = option("May models draw and edit for the asker?", default=None, choices=("on", "off"))
    channel: ChannelOption | None = option("In one channel alone (tools)?", default=None, max_length=100)
    voice: str | None = option(
        "How are voice messages answered? The asker pays.", default=None, choices=("off", "text", "speak")
    )
    feedback: str | None = option("May people vote on answers (👍, 👎)?", default=None, choices=("on", "off"))
    summaries: str | None = option("Sum up long conversations, at a price?", default=None, choices=("on", "off"))

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        values: dict[str, JSON] = validate_language(self.language) if self.language else {}
        values |= {format_setting_key("join"): self.join} if self.join else {}
        values |= {format_setting_key("mention"): self.mention} if self.mention else {}
        if self.channel and not self.tools:
            raise BadOption("channel belongs to tools: say tools on or off for that channel.", option="channel")
        if self.tools:
            channel = require_id(invocation.user.platform, self.channel, "channel") if self.channel else ""
            values[format_setting_key("tools", channel)] = self.tools == "on"
        values |= {format_setting_key("feedback"): self.feedback == "on"} if self.feedback else {}
        values |= _validate_voice(services, self.voice) if self.voice else {}
        values |= {format_setting_key("summaries"): self.summaries == "on"} if self.summaries else {}
        shown = ("language", "join", "mention", "tools", "voice", "feedback", "summaries")
        if not values:
            raise BadOption(f"Say what to change: {', '.join(shown[:-1])} or {shown[-1]}.", option="language")
        return await change_and_reply(services, invocation.user, values, *shown)


def _validate_voice(services: Services, voice: str) -> dict[str, JSON]:
    """Return the policy of a setting of voice. Raise `BadOption` where no model on offer listens, or speaks."""
    needed = {"off": (), "text": (Task.TRANSCRIBE,), "speak": (Task.TRANSCRIBE, Task.SPEAK)}[voice]
    for task in needed:
        if not services.catalogue.list_for_task(task):
            raise BadOption(f"No model for /{task} is on offer here, which voice needs.", option="voice")
    return {format_setting_key("voice"): voice}


@command("settings pictures", rank=Rank.MODERATOR, private=True)
class SettingsPictures(Command):
    """Set what happens with adult models, flagged pictures, repeated asks and words in files."""

    adult: str | None = option("Where do models for adults run?", default=None, choices=("off", "age_restricted"))
    flagged: str | None = option("What about flagged pictures?", default=None, choices=("spoiler", "refuse"))
    reuse: bool | None = option("Answer the very same from what is kept, for nothing?", default=None)
    recipes: bool | None = option("Keep ComfyUI's workflow, with the words, in the picture's file?", default=None)
    prompts: bool | None = option("Write prompt, seed and model into the files of drawings?", default=None)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        given: dict[str, JSON] = {
            "adult": self.adult,
            "flagged": self.flagged,
            "reuse": self.reuse,
            "recipes": self.recipes,
            "prompts": self.prompts,
        }
        values = {format_setting_key(name): value for name, value in given.items() if value is not None}
        if not values:
            raise BadOption("Say what to change: adult, flagged, reuse, recipes or prompts.", option="adult")
        return await change_and_reply(services, invocation.user, values, *given)


@command("settings general", rank=Rank.MODERATOR, private=True)
class SettingsGeneral(Command):
    """Set the time zone, how long things are kept, and above which price a button asks first."""

    time_zone: str | None = option(
        "Which time zone, as in Europe/Berlin?", default=None, max_length=60, autocomplete=suggest_time_zones
    )
    keep_days: int | None = option("How many days is what was asked kept?", default=None, minimum=1, maximum=3_650)
    confirm_above: float | None = option(
        "Above how many credits does a button ask first? 0 never asks.",
        default=None,
        minimum=0,
        maximum=_MAX_CONFIRM_CREDITS,
    )

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        values: dict[str, JSON] = validate_time_zone(self.time_zone) if self.time_zone else {}
        if self.keep_days is not None:
            max_days = services.moderation.days_kept
            if self.keep_days > max_days:
                raise BadOption(f"keep_days may be {max_days} at most: I keep nothing longer.", option="keep_days")
            values[format_setting_key("retention_days")] = self.keep_days
        if self.confirm_above is not None:
            values[format_setting_key("confirm_above_credits")] = self.confirm_above
        if not values:
            raise BadOption("Say what to change: time_zone, keep_days or confirm_above.", option="time_zone")
        return await change_and_reply(
            services, invocation.user, values, "time_zone", "retention_days", "confirm_above_credits"
        )


@command("settings run", rank=Rank.MODERATOR, private=True)
class SettingsRun(Command):
    """Say which models /run takes: none, approved ones, or anything up to a price."""

    models: str = option("Which models?", choices=("off", "approved", "anything"))
    below: float | None = option(
        "With anything: how many credits may a run cost at most?",
        default=None,
        minimum=0,
        maximum=_MAX_CONFIRM_CREDITS,
    )

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        if self.models == "anything" and not self.below:
            raise BadOption("Say how many credits a run of any model may cost at most: below.", option="below")
        if self.models != "anything" and self.below is not None:
            raise BadOption("A price goes with anything only: leave below out.", option="below")
        values: dict[str, JSON] = {
            format_setting_key("run"): self.models,
            format_setting_key("run_below_credits"): self.below,
        }
        return await change_and_reply(services, invocation.user, values, "run")


@command("settings webhook", rank=Rank.MODERATOR, private=True)
class SettingsWebhook(Command):
    """Post ended jobs of this workspace to a server of yours, signed; turn that off; or send a test."""

    url: str = option("Which public https address gets them? Or off, or test.", max_length=500)
    secret: str | None = option(
        "Which secret signs them? whsec_ and base64; I never show it again.", default=None, max_length=120
    )

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by, webhooks = invocation.user, services.webhooks
        if self.url == "test":
            return Reply(text=await webhooks.send_test(Workspace(by.platform, by.workspace)), is_private=True)
        if self.url == "off":
            await webhooks.turn_off(by)
        else:
            await webhooks.change(by, self.url, self.secret or "")
        return Reply(text=await _describe_webhook(invocation, services), is_private=True)


@command("settings reset", rank=Rank.MODERATOR, private=True)
class SettingsReset(Command):
    """Set one setting back to its default."""

    setting: str = option("Which setting?", choices=SETTINGS)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        by, name = invocation.user, self.setting
        # The policies of members stand beside the setting's own.
        value = getattr(await get_settings(services, by), name)
        members = [format_setting_key(name, member) for member in value] if name in _SETTINGS_WITH_MEMBERS else []
        # Moderators by role would lock themselves out.
        is_only_by_role = invocation.rank is Rank.MODERATOR and not by.is_administrator
        if name == "moderator_roles" and is_only_by_role:
            raise RequestRefused(
                "A role is what makes you a moderator: an administrator of this workspace can reset that."
            )
        return await change_and_reply(services, by, dict.fromkeys([format_setting_key(name), *members]), name)
