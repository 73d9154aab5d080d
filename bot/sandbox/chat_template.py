"""The Llama-3 chat template, as far as reading it: what did the person say last?"""

import re

_USER_TURN = re.compile(r"<\|start_header_id\|>user<\|end_header_id\|>\s*(.*?)(?:<\|eot_id\|>|\Z)", re.DOTALL)
_CONTROL_TOKEN = re.compile(r"<\|[a-z_]+\|>")


def find_last_user_turn(prompt: str) -> str:
    """The last turn of the user, or the whole prompt when it carries no template."""
    turns = _USER_TURN.findall(prompt)
    return _CONTROL_TOKEN.sub("", turns[-1] if turns else prompt).strip()
