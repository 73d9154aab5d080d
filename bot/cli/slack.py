"""`python -m bot slack manifest`: prints the manifest of the Slack app, to paste at api.slack.com/apps."""

import argparse
import json
from collections.abc import Sequence

from bot.cli.terminal import print_errors, print_text
from bot.commands import MENU
from bot.platforms.slack.manifest import create_manifest, render_yaml
from bot.settings import load_settings


@print_errors
def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bot slack", description=__doc__)
    parser.add_argument("what", choices=["manifest"])
    parser.add_argument("--http", action="store_true", help="for HTTP at PUBLIC_URL instead of Socket Mode")
    parser.add_argument("--json", action="store_true", help="as JSON instead of YAML")
    options = parser.parse_args(arguments)
    settings = load_settings()
    if options.http and not settings.public_url:
        parser.error("--http needs PUBLIC_URL, the https address at which Slack reaches this bot")
    manifest = create_manifest(
        MENU, prefix=settings.slack_command_prefix, public_url=(options.http and settings.public_url) or ""
    )
    print_text(json.dumps(manifest, indent=2, ensure_ascii=False) if options.json else render_yaml(manifest), end="")
    return 0
