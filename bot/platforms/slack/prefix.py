"""Commands as they are called in a workspace where each of their names has a prefix: /easel-imagine."""

import re
from collections.abc import Callable
from dataclasses import replace

from bot.core.replies import Reply
from bot.dispatch.parser import Menu

Worded = Callable[[Reply], Reply]


def unchanged(reply: Reply) -> Reply:
    """Without a prefix."""
    return reply


def with_prefix(prefix: str, menu: Menu) -> Worded:
    """What puts the prefix before the name of each command that a reply speaks of."""
    if not prefix:
        return unchanged
    words = {form.declaration.words_of_name[0] for form in menu}
    named = re.compile(rf"(?<![\w/.:<-])/(?=(?:{'|'.join(map(re.escape, sorted(words)))})(?![\w/-]))")

    def worded(reply: Reply) -> Reply:
        return replace(reply, text=named.sub(f"/{prefix}", reply.text), note=named.sub(f"/{prefix}", reply.note))

    return worded
