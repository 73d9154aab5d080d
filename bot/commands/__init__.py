"""The menu, in the order people see it."""

from bot.commands.audit import Audit
from bot.commands.block import Block
from bot.commands.cancel import Cancel
from bot.commands.caption import CaptionPicture
from bot.commands.chat import Chat
from bot.commands.help import Help
from bot.commands.imagine import Imagine
from bot.commands.jobs import WorkspaceJobs
from bot.commands.models import Models
from bot.commands.pause import Pause
from bot.commands.privacy.delete import PrivacyDelete
from bot.commands.privacy.export import PrivacyExport
from bot.commands.quota.budget.set import QuotaBudgetSet
from bot.commands.quota.budget.show import QuotaBudgetShow
from bot.commands.quota.channel.clear import QuotaChannelClear
from bot.commands.quota.channel.set import QuotaChannelSet
from bot.commands.quota.export import QuotaExport
from bot.commands.quota.grant import QuotaGrant
from bot.commands.quota.reset import QuotaReset
from bot.commands.quota.role.clear import QuotaRoleClear
from bot.commands.quota.role.set import QuotaRoleSet
from bot.commands.quota.role.show import QuotaRoleShow
from bot.commands.quota.set import QuotaSet
from bot.commands.quota.show import QuotaShow
from bot.commands.quota.take import QuotaTake
from bot.commands.quota.top import QuotaTop
from bot.commands.resume import Resume
from bot.commands.settings.channel import SettingsChannel
from bot.commands.settings.chat import SettingsChat
from bot.commands.settings.general import SettingsGeneral
from bot.commands.settings.model import SettingsModel
from bot.commands.settings.moderators import SettingsModerators
from bot.commands.settings.notices import SettingsNotices
from bot.commands.settings.pictures import SettingsPictures
from bot.commands.settings.prompt import SettingsPrompt
from bot.commands.settings.reset import SettingsReset
from bot.commands.settings.show import SettingsShow
from bot.commands.setup import Setup
from bot.commands.show import Show
from bot.commands.unblock import Unblock
from bot.commands.upscale import Upscale
from bot.commands.usage import Usage
from bot.commands.words.add import WordsAdd
from bot.commands.words.list import WordsList
from bot.commands.words.remove import WordsRemove
from bot.commands.words.test import WordsTest
from bot.dispatch.declaration import Command

MENU: tuple[type[Command], ...] = (
    Imagine,
    Upscale,
    CaptionPicture,
    Chat,
    Help,
    Models,
    Usage,
    Cancel,
    Show,
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
    SettingsReset,
    Block,
    Unblock,
    WordsAdd,
    WordsRemove,
    WordsList,
    WordsTest,
    WorkspaceJobs,
    Audit,
    Pause,
    Resume,
    Setup,
)
