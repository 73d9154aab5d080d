"""`python -m bot deployments`: manages models on hardware of your choice. A catalogue entry may name a deployment."""

import argparse
from collections.abc import Callable, Sequence

from bot.backends.replicate.client import ReplicateClient
from bot.cli.account import run_with_client
from bot.cli.terminal import format_columns, print_errors, print_text
from bot.core.backend import MAX_INSTANCES, MAX_MIN_INSTANCES, Deployment
from bot.core.errors import InputRefused, PredictionGone
from bot.settings import Settings


@print_errors
def main(arguments: Sequence[str]) -> int:
    options = _create_parser().parse_args(arguments)
    action = {"list": _list, "create": _create, "update": _update, "delete": _delete}[options.what]

    async def run_action(client: ReplicateClient, _: Settings) -> str:
        return await action(client, options)

    print_text(run_with_client(run_action))
    return 0


def _create_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bot deployments", description=__doc__)
    verbs = parser.add_subparsers(dest="what", required=True)
    verbs.add_parser("list", help="yours, with what they run on")
    creating = verbs.add_parser("create", help="make one")
    creating.add_argument("name", metavar="NAME")
    creating.add_argument("--model", required=True, metavar="OWNER/NAME")
    creating.add_argument("--version", default="", help="the newest when not given")
    creating.add_argument("--hardware", required=True, metavar="SKU", help="such as gpu-t4; a wrong one lists them all")
    creating.add_argument(
        "--min", type=_up_to(MAX_MIN_INSTANCES), default=0, help="kept running, and paid, at all times"
    )
    creating.add_argument("--max", type=_up_to(MAX_INSTANCES), default=1, help="run at once at most")
    updating = verbs.add_parser("update", help="change one; what is not given stays")
    updating.add_argument("name", metavar="[OWNER/]NAME")
    updating.add_argument("--version", help="`newest`, or 64 hex digits")
    updating.add_argument("--hardware", metavar="SKU")
    updating.add_argument("--min", type=_up_to(MAX_MIN_INSTANCES))
    updating.add_argument("--max", type=_up_to(MAX_INSTANCES))
    verbs.add_parser("delete", help="take one away that was not used for 15 minutes").add_argument(
        "name", metavar="[OWNER/]NAME"
    )
    return parser


def _up_to(maximum: int) -> Callable[[str], int]:
    """Return a parser of counts from 0 to `maximum`."""

    def parse_count(text: str) -> int:
        if not (text.isdecimal() and int(text) <= maximum):
            raise argparse.ArgumentTypeError(f"should be from 0 to {maximum}, not {text!r}")
        return int(text)

    return parse_count


async def _list(client: ReplicateClient, _: argparse.Namespace) -> str:
    rows = [
        (
            item.name,
            f"{item.model}:{item.version[:12]}…",
            item.hardware,
            f"{item.min_instances} to {item.max_instances} instances",
        )
        async for item in client.deployments.list()
    ]
    return format_columns(rows) if rows else "There are no deployments."


async def _create(client: ReplicateClient, options: argparse.Namespace) -> str:
    if options.min > options.max:
        raise InputRefused(f"--min {options.min} is more than --max {options.max}.")
    await client.deployments.check_hardware(options.hardware)
    version = options.version or await _get_newest_version(client, options.model)
    deployment = await client.deployments.create(
        options.name,
        model=options.model,
        version=version,
        hardware=options.hardware,
        min_instances=options.min,
        max_instances=options.max,
    )
    return _format_deployment(deployment, "made")


async def _update(client: ReplicateClient, options: argparse.Namespace) -> str:
    changes = {
        "version": options.version,
        "hardware": options.hardware,
        "min_instances": options.min,
        "max_instances": options.max,
    }
    if not any(value is not None for value in changes.values()):
        raise InputRefused("Say what to change: --version, --hardware, --min or --max.")
    before = await client.deployments.find(options.name)
    if options.hardware is not None:
        await client.deployments.check_hardware(options.hardware)
    if options.version == "newest":
        changes["version"] = await _get_newest_version(client, before.model)
    return _format_deployment(await client.deployments.update(before.name, **changes), "changed")


async def _delete(client: ReplicateClient, options: argparse.Namespace) -> str:
    name = (await client.deployments.find(options.name)).name
    await client.deployments.delete(name)
    return f"{name} is deleted."


async def _get_newest_version(client: ReplicateClient, ref: str) -> str:
    try:
        newest = (await client.models.get(ref)).newest_version
    except PredictionGone as error:
        raise InputRefused(f"Replicate shows this token no model {ref}.") from error
    if newest is None:
        raise InputRefused(f"{ref} has no version to deploy.")
    return newest.id


def _format_deployment(deployment: Deployment, participle: str) -> str:
    lines = [f"{deployment.name} is {participle}: {deployment.model}:{deployment.version} on {deployment.hardware}."]
    if deployment.min_instances:
        instances = "an instance" if deployment.min_instances == 1 else f"{deployment.min_instances} instances"
        lines.append(f"It keeps {instances} running, which Replicate bills at all times, also while nobody asks.")
    lines.append(f'A catalogue entry uses it with deployment = "{deployment.name}".')
    return "\n".join(lines)
