"""The menu, in the order people see it."""

from bot.commands.cancel import Cancel
from bot.commands.caption import CaptionPicture
from bot.commands.chat import Chat
from bot.commands.grant import Grant
from bot.commands.help import Help
from bot.commands.imagine import Imagine
from bot.commands.models import Models
from bot.commands.show import Show
from bot.commands.upscale import Upscale
from bot.commands.usage import Usage
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
    Grant,
)
