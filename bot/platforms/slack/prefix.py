"""Commands as they are called in a workspace where each of their names has a prefix: /easel-imagine."""

import re
from collections.abc import Callable
from dataclasses import replace

from bot.core.replies import Reply
from bot.dispatch.parser import Menu

ReplyTransform = Callable[[Reply], Reply]


def keep_reply(reply: Reply) -> Reply:
    """Without a prefix."""
    return reply


def create_prefixer(prefix: str, menu: Menu) -> ReplyTransform:
    """What puts the prefix before the name of each command that a reply speaks of."""
    if not prefix:
        return keep_reply
    words = {form.declaration.name_parts[0] for form in menu}
    named = re.compile(rf"(?<![\w/.:<-])/(?=(?:{'|'.join(map(re.escape, sorted(words)))})(?![\w/-]))")

    def worded(reply: Reply) -> Reply:
        return replace(reply, text=named.sub(f"/{prefix}", reply.text), note=named.sub(f"/{prefix}", reply.note))

    return worded
