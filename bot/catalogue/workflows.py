"""Checks the entries of ComfyUI models against their workflow files, when the catalogue is loaded."""

from collections.abc import Iterator
from pathlib import Path

from bot.core.models import InputRule, Model
from bot.core.workflows import WorkflowError, check_free_text, find_input, load_workflow

_FREE_TEXTS = frozenset(["prompt", "negative", "question", "system", "lyrics", "text"])
"""Options in which people write what they like."""


def check_workflow(model: Model, folder: Path) -> None:
    """Raise `WorkflowError` if the workflow of an entry is missing or lacks an input that the entry names."""
    path = folder / model.ref
    if path.suffix != ".json":
        raise WorkflowError(f"ref names the workflow's file, such as text-to-picture.json, not {model.ref!r}")
    workflow = load_workflow(path)
    for field in model.fixed:
        find_input(workflow, field)
    for option, rule in model.inputs.items():
        for field in _iterate_fields(rule):
            find_input(workflow, field)
        if rule.is_file_list:
            raise WorkflowError(f"{option} is one file for one loading node: write file = true instead of files")
        if option in _FREE_TEXTS and not (rule.choices or rule.expands or rule.is_file):
            check_free_text(workflow, rule.name)


def _iterate_fields(rule: InputRule) -> Iterator[str]:
    yield from rule.also
    if not rule.expands:
        yield rule.name
    for fields in rule.expands.values():
        yield from fields
