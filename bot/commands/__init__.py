"""The menu of commands, in the order of the help.

After a change run `python3 run.py generate`: README and the Slack manifest list the menu.
"""

from bot.commands.chat import Chat
from bot.commands.deployments import (
    DeploymentsCreate,
    DeploymentsDelete,
    DeploymentsList,
    DeploymentsScale,
    DeploymentsUse,
)
from bot.commands.edit import CaptionPicture, Edit, PaintedEdit, RemoveBackground, Restore, Upscale
from bot.commands.feedback import FeedbackExport, FeedbackGive, FeedbackList
from bot.commands.help import Help
from bot.commands.imagine import Imagine, PresetList, PresetRemove, PresetSave, PresetShare, PresetShow, PresetUnshare
from bot.commands.jobs import Cancel, Show, Undo, WorkspaceJobs
from bot.commands.model import ModelAdd, ModelRemove, Models, ModelSearch, ModelShow, ModelUpdate, ModelVersions, Train
from bot.commands.moderation import Audit, Block, Pause, Resume, Unblock, WordsAdd, WordsList, WordsRemove, WordsTest
from bot.commands.privacy import PrivacyDelete, PrivacyExport
from bot.commands.quota.budget import QuotaBudgetSet, QuotaBudgetShow, QuotaExport
from bot.commands.quota.people import QuotaGrant, QuotaReset, QuotaSet, QuotaShow, QuotaTake, QuotaTop, Usage
from bot.commands.quota.tiers import QuotaChannelClear, QuotaChannelSet, QuotaRoleClear, QuotaRoleSet, QuotaRoleShow
from bot.commands.recipe import ReadRecipe
from bot.commands.recordings import Music, Speak, Transcribe, Video
from bot.commands.run import Run
from bot.commands.settings import (
    SettingsChannel,
    SettingsChat,
    SettingsGeneral,
    SettingsModel,
    SettingsModerators,
    SettingsNotices,
    SettingsPictures,
    SettingsPrompt,
    SettingsReset,
    SettingsRun,
    SettingsShow,
    SettingsWebhook,
)
from bot.commands.setup import Setup
from bot.dispatch.declaration import Command

MENU: tuple[type[Command], ...] = (
    Imagine,
    Edit,
    RemoveBackground,
    Restore,
    Upscale,
    CaptionPicture,
    ReadRecipe,
    Video,
    Speak,
    Transcribe,
    Music,
    Chat,
    Run,
    Help,
    Models,
    ModelSearch,
    ModelShow,
    ModelVersions,
    PresetSave,
    PresetList,
    PresetShow,
    PresetRemove,
    Usage,
    Cancel,
    Show,
    FeedbackGive,
    Undo,
    PrivacyExport,
    PrivacyDelete,
    QuotaShow,
    QuotaGrant,
    QuotaTake,
    QuotaSet,
    QuotaReset,
    QuotaRoleSet,
    QuotaRoleShow,
    QuotaRoleClear,
    QuotaChannelSet,
    QuotaChannelClear,
    QuotaBudgetShow,
    QuotaBudgetSet,
    QuotaTop,
    QuotaExport,
    SettingsShow,
    SettingsModel,
    SettingsChannel,
    SettingsModerators,
    SettingsNotices,
    SettingsPrompt,
    SettingsChat,
    SettingsPictures,
    SettingsGeneral,
    SettingsRun,
    SettingsWebhook,
    SettingsReset,
    PresetShare,
    PresetUnshare,
    ModelAdd,
    ModelUpdate,
    ModelRemove,
    Train,
    DeploymentsList,
    DeploymentsCreate,
    DeploymentsScale,
    DeploymentsUse,
    DeploymentsDelete,
    Block,
    Unblock,
    WordsAdd,
    WordsRemove,
    WordsList,
    WordsTest,
    WorkspaceJobs,
    FeedbackList,
    FeedbackExport,
    Audit,
    Pause,
    Resume,
    Setup,
)


def list_menu(*, has_public_page: bool) -> tuple[type[Command], ...]:
    """Return the menu of a bot: the painter of masks is offered where people reach the page."""
    return tuple(PaintedEdit if form is Edit and has_public_page else form for form in MENU)
