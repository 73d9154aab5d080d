"""Catalogue files for tests of servers with OpenAI's API."""

from tests.emulators.openai.server import CHAT_MODEL, PICTURE_MODEL

FREE = 'price = { tiers = [{ per = "run", usd = "0" }], source = "own hardware", read_on = 2026-12-01 }'
BY_TOKENS = (
    'price = { tiers = [{ per = "token_input_count", usd = "1", units = 1_000_000 }, '
    '{ per = "token_output_count", usd = "2", units = 1_000_000 }], source = "a page", read_on = 2026-12-01 }'
)
BY_PICTURE = (
    'price = { tiers = [{ per = "image_output_count", usd = "0.02" }], source = "a page", read_on = 2026-12-01 }'
)


def make_backend(url: str, name: str = "home", **more: str | int) -> str:
    """Return a table of a server."""
    lines = [f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}" for key, value in more.items()]
    return "\n".join([f"[backends.{name}]", 'kind = "openai"', f'url = "{url}"', *lines, ""])


def make_chat_model(
    price: str = FREE,
    *,
    ref: str = CHAT_MODEL,
    max_tokens: str = "max_tokens",
    key: str = "talker",
    backend: str = "home",
) -> str:
    """Return an entry for /chat that takes pictures."""
    return f"""
[{key}]
title = "{key.capitalize()}"
task = "chat"
backend = "{backend}"
ref = "{ref}"
output = "text_stream"
context_tokens = 4096
usual_seconds = 2
max_seconds = 60
{price}
[{key}.inputs]
messages = "messages"
temperature = "temperature"
max_tokens = "{max_tokens}"
image = {{ to = "images", files = 4 }}
"""


def make_picture_models(price: str = FREE) -> str:
    """Return an entry that draws and an entry that edits."""
    common = f"""
backend = "home"
ref = "{PICTURE_MODEL}"
output = "pictures"
usual_seconds = 2
max_seconds = 60
{price}
"""
    return f"""
[painter]
title = "Painter"
task = "imagine"{common}
[painter.inputs]
prompt = "prompt"
count = {{ to = "n", minimum = 1, maximum = 4 }}

[editor]
title = "Editor"
task = "edit"{common}
[editor.inputs]
prompt = "prompt"
image = {{ to = "image", file = true }}
mask = {{ to = "mask", file = true, mask = "alpha" }}
"""
