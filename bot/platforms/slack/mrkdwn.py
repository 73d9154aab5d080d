"""Text on its way to Slack and from it: nobody is pinged by what a model writes, and people's words arrive as typed."""

import html
import re

from bot.streaming.fences import Fence, find_fence_after_line

_WORDS = ("<!here", "<!channel", "<!everyone", "<!subteam^", "<!date^")
_IDS = ("<@", "<#")
# What Slack would turn into a mention or a command, in its Markdown as in its mrkdwn.
_LIVE = re.compile(r"<(?=!(?:here|channel|everyone|subteam\^|date\^)|@[UWB][A-Z0-9]|#[CGD][A-Z0-9])", re.IGNORECASE)
_LOUD = re.compile(r"<(?=!(?:here|channel|everyone|date\^))", re.IGNORECASE)
# An address that Slack would hide behind other words: in its own way of writing, and in Markdown's.
_LABELLED = re.compile(r"(<[a-z][a-z0-9+.-]*:[^<>|\s]*)\|", re.IGNORECASE)
_MASKED = re.compile(r"\](?=\(\s*<?\s*[A-Za-z][A-Za-z0-9+.-]*:)")
_HALVES = frozenset(word[:n] for word in _WORDS for n in range(1, len(word))) | frozenset(_IDS)
_LONGEST_HALF = max(map(len, _HALVES)) + 1
_BREAK = "<\u200b"
_LAST_WORD = re.compile(r"[!-~]*$")
_LONGEST_WORD = 40

_LINK = re.compile(r"<((?:https?|mailto|ftp)[^|>\s]*)(?:\|([^>]*))?>")
_PERSON = re.compile(r"<@([UWB][A-Z0-9]+)(?:\|([^>]*))?>")
_CHANNEL = re.compile(r"<#([CGD][A-Z0-9]+)(?:\|([^>]*))?>")
_ESCAPED_LINK = re.compile(r"&lt;([@#][UWBCGD][A-Z0-9]+)&gt;")
_SPECIAL = re.compile(r"<!(here|channel|everyone)(?:\|[^>]*)?>")
_GROUP = re.compile(r"<!subteam\^([A-Z0-9]+)(?:\|@?([^>]*))?>")


def neutralize_mentions(text: str) -> str:
    """The text with every mention broken by a sign nobody sees, and with every address to be seen.

    A longer text only adds to what a shorter one gave.
    """
    return _LIVE.sub(_BREAK, reveal_links(text)) if "<" in text or "](" in text else text


def reveal_links(text: str) -> str:
    """The text with every link showing where it leads: `[words] (address)`, and `<address|words>` as one address."""
    lines: list[str] = []
    fence: Fence | None = None
    for line in text.splitlines(keepends=True):
        before, fence = fence, find_fence_after_line(line, fence, len(line))
        lines.append(line if before or fence else _MASKED.sub(_seen, _LABELLED.sub(r"\1%7C", line)))
    return "".join(lines)


def _seen(match: re.Match[str]) -> str:
    """What stands before a line's end decides, so that more words change nothing: in open backticks it is code."""
    is_code = match.string.count("`", 0, match.start()) % 2
    return match[0] if is_code else "] "


def neutralize_broadcasts(text: str) -> str:
    """The text with links to people, groups and channels, and whatever calls a whole channel broken."""
    return _LOUD.sub(_BREAK, reveal_links(text)) if "<" in text or "](" in text else text


def cut_unstable_end(text: str) -> str:
    """What of a growing text can be shown already, so that what follows begins with a sign and not with a space.

    White space at the head of what is appended may vanish, and an end may be half of a mention: so the last word waits.
    """
    body = text.rstrip()
    word = len(_LAST_WORD.search(body[-_LONGEST_WORD - 1 :])[0])  # type: ignore[index] # it matches the empty end
    body = body[: -word if 0 < word <= _LONGEST_WORD else -1]
    at = body.rfind("<", max(0, len(body) - _LONGEST_HALF))
    if at < 0:
        return body
    end = body[at:].lower()
    is_half = end in _HALVES or (len(end) == 3 and end[:2] in _IDS and end[2].isalpha())
    return body[:at] if is_half else body


def escape(text: str) -> str:
    """Plain words as mrkdwn shows them: the three signs that docs.slack.dev names, and no others."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def restore_links(text: str) -> str:
    """Escaped words with their links to people and channels as such again: for what one person alone reads."""
    return _ESCAPED_LINK.sub(r"<\1>", text)


def unescape(text: str) -> str:
    """What somebody typed: links as addresses, special mentions as words; mentions of people and channels stay."""
    text = _LINK.sub(lambda match: match[1], text)
    text = _SPECIAL.sub(r"@\1", text)
    return html.unescape(text) if "&" in text else text


def find_mentions(text: str) -> list[str]:
    """The ids of the people that a text mentions."""
    return [match[1] for match in _PERSON.finditer(text)]


def replace_mentions(text: str, names: dict[str, str]) -> str:
    """Mentions as the names that people read."""
    text = _PERSON.sub(lambda match: f"@{match[2] or names.get(match[1], match[1])}", text)
    text = _GROUP.sub(lambda match: f"@{match[2] or match[1]}", text)
    return _CHANNEL.sub(lambda match: f"#{match[2] or match[1]}", text)


def remove_mention(text: str, user: str) -> str:
    """The text without being called by it."""
    return re.sub(rf"<@{re.escape(user)}(?:\|[^>]*)?>[,:]?[ \t]*", "", text).strip()


def truncate(text: str, most: int) -> str:
    """At most so many characters, with a sign that there is more."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def truncate_bytes(text: str, most: int) -> str:
    """At most so many UTF-8 bytes, with a sign that there is more."""
    data = text.encode()
    return text if len(data) <= most else data[: most - 3].decode(errors="ignore") + "…"
