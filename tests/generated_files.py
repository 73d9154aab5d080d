"""Write README's command tables and slack-manifest.yaml from the menu: `python3 run.py generate`.

`tests/test_house.py` fails while a file differs from the menu.
"""

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from bot.commands import MENU
from bot.core.people import Rank
from bot.dispatch.declaration import Declaration
from bot.platforms.slack.manifest import create_manifest, render_yaml

ROOT = Path(__file__).parent.parent

_TABLE = re.compile(
    r"(?<=<!-- commands of )(?P<readers>.*?), .*? -->\n(?P<table>.*?)(?=<!-- end of commands -->)", re.S
)
_RANK_NOTES = {Rank.USER: "", Rank.MODERATOR: " (moderators)", Rank.OWNER: " (owner)"}


def render_readme(text: str) -> str:
    """Return README's text with the rows of both command tables rendered anew."""
    return _TABLE.sub(_render_table, text)


def _render_table(match: re.Match[str]) -> str:
    declarations = [form.declaration for form in MENU]
    is_for_members = match["readers"] == "members"
    listed = [declaration for declaration in declarations if (declaration.rank is Rank.USER) is is_for_members]
    return match[0].removesuffix(match["table"]) + _render_rows(listed)


def _render_rows(declarations: Iterable[Declaration]) -> str:
    rows = ["| command | options |", "|---|---|"]
    for declaration in declarations:
        options = ", ".join(option.name for option in declaration.options) or "–"
        description = declaration.description + _RANK_NOTES[declaration.rank]
        rows.append(f"| `/{declaration.name}` {description} | {options} |")
    return "\n".join(rows) + "\n"


def render_slack_manifest(_: str) -> str:
    return render_yaml(create_manifest(MENU))


GENERATED_FILES: Mapping[str, Callable[[str], str]] = {
    "README.md": render_readme,
    "slack-manifest.yaml": render_slack_manifest,
}
"""Functions from a file's text to the new text, by the file's name."""


def write_generated_files(root: Path) -> list[str]:
    """Write the generated files below `root`; return the names of changed files."""
    changed = []
    for name, render in GENERATED_FILES.items():
        path = root / name
        text = path.read_text(encoding="utf-8")
        if (rendered := render(text)) != text:
            path.write_text(rendered, encoding="utf-8", newline="\n")
            changed.append(name)
    return changed


if __name__ == "__main__":
    sys.stdout.write(
        f"Written: {', '.join(write_generated_files(ROOT)) or 'nothing, all files agree with the menu'}.\n"
    )
