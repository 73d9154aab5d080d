"""The menu of the command line's verbs."""

import gc
import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import cast

VERBS: Mapping[str, str] = {
    "demo": "try everything on this machine, without a token",
    "run": "run the bot with the settings of the environment and .env",
    "sandbox": "serve the Replicate-compatible sandbox alone",
    "models": "list the catalogue, check it against what models publish, search, show, add, remove",
    "predict": "run a model at Replicate once, with files of this machine",
    "predictions": "list, show and cancel runs at Replicate",
    "account": "say whose account at Replicate the token opens",
    "deployments": "list, create, update and delete your deployments at Replicate",
    "trainings": "list, create, look at and cancel your trainings at Replicate",
    "quota": "who may spend and do how much; `quota verify` proves the books",
    "web": "invite people to the page, list them, remove them",
    "slack": "print the manifest of the Slack app",
    "privacy": "export or delete what is kept about somebody",
    "doctor": "say what is missing or wrong",
    "health": "ask a running bot on this machine how it is",
}


# The objects of imports stay: collecting after each 700 new objects, and all objects twice, took a tenth of a start.
_GC_THRESHOLDS = (5_000, 10, 100)


def main(arguments: Sequence[str]) -> int:
    """Run a verb and return the exit code."""
    verb, *rest = arguments or ["help"]
    if verb not in VERBS:
        print("\n".join(["Usage: python -m bot VERB", "", *(f"  {name:11} {text}" for name, text in VERBS.items())]))
        return 0 if verb in ("help", "--help", "-h") else 2
    gc.set_threshold(*_GC_THRESHOLDS)
    # Each verb imports its own needs alone: imports are the largest part of a person's wait for `--help`.
    run_verb = cast("Callable[[Sequence[str]], int]", importlib.import_module(f"bot.cli.{verb}").main)
    return run_verb(rest)
