"""ComfyUI workflows in API format: reads a file, finds the inputs that an entry names, and fills the inputs in.

A workflow is `{node: {class_type, inputs, _meta: {title}}}`; a link to another node is `[node, slot]`. Node ids change
with each export, so that an entry may name a node by its title, which the owner writes in ComfyUI.
"""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import TypeAlias

from bot.core.json import JSON, as_object, get_object, get_text

Workflow: TypeAlias = Mapping[str, JSON]
"""The nodes by id."""

SEED_INPUTS = ("seed", "noise_seed")
PREFIX_INPUT = "filename_prefix"

_MAX_WORKFLOW_BYTES = 4 * 1024 * 1024


class WorkflowError(ValueError):
    """The file is no workflow in API format, or lacks an input that the entry names."""


def load_workflow(path: Path) -> Workflow:
    """Return the nodes of a workflow file. Raise `WorkflowError` with the way to mend the file."""
    try:
        if path.stat().st_size > _MAX_WORKFLOW_BYTES:
            raise WorkflowError(f"the workflow {path.name} has more than {_MAX_WORKFLOW_BYTES >> 20} MB")
        nodes = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WorkflowError(f"the workflow {path.name} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, WorkflowError):
            raise
        raise WorkflowError(f"the workflow {path.name} is no JSON") from error
    return parse_workflow(nodes, path.name)


def list_workflows(folder: Path) -> list[str]:
    """Return the names of the workflow files of a folder."""
    return [path.name for path in sorted(folder.glob("*.json")) if _is_workflow(path)]


def _is_workflow(path: Path) -> bool:
    try:
        return bool(load_workflow(path))
    except WorkflowError:
        return False


def parse_workflow(nodes: JSON, name: str) -> Workflow:
    """Return the nodes. Raise `WorkflowError` for anything but the API format."""
    found = as_object(nodes)
    if not found or not all(get_text(node, "class_type") for node in found.values()):
        advice = "export it in ComfyUI with Workflow > Export (API)"
        raise WorkflowError(f"{name} is no workflow in API format: {advice}")
    return found


def find_input(workflow: Workflow, field: str) -> tuple[str, str]:
    """Return node id and input for `node.input`, where the node is an id or a unique title.

    Raise `WorkflowError` if there is no such literal input, or if several nodes have the title.
    """
    # Titles and names of inputs may contain dots themselves: the first split that leads to an input counts.
    splits = [(field[:at], field[at + 1 :]) for at, letter in enumerate(field) if letter == "."]
    for name, key in splits:
        nodes = [name] if name in workflow else [node for node in workflow if get_title(workflow, node) == name]
        holders = [node for node in nodes if key in get_object(workflow[node], "inputs")]
        if len(nodes) > 1 and holders:
            raise WorkflowError(f"{len(nodes)} nodes of the workflow have the title “{name}”: name one by its id")
        if not holders:
            continue
        if isinstance(get_object(workflow[holders[0]], "inputs")[key], list):
            raise WorkflowError(f"“{field}” is linked to another node: only a value in the node itself can be set")
        return holders[0], key
    raise WorkflowError(f"the workflow has no input “{field}”: write node.input, with the node's id or title")


def get_title(workflow: Workflow, node: str) -> str:
    """Return the title of a node; the class without a title."""
    return get_text(get_object(workflow[node], "_meta"), "title") or get_class(workflow, node)


def get_class(workflow: Workflow, node: str) -> str:
    """Return the class of a node."""
    return get_text(workflow[node], "class_type")


def list_classes(workflow: Workflow) -> list[str]:
    """Return the classes of the nodes, each once."""
    return list(dict.fromkeys(get_class(workflow, node) for node in workflow))


def iterate_literals(workflow: Workflow) -> Iterator[tuple[str, str, JSON]]:
    """Yield node, input and value of each input that is no link."""
    for node in workflow:
        for key, value in get_object(workflow[node], "inputs").items():
            if not isinstance(value, list):
                yield node, key, value


def list_seeds(workflow: Workflow) -> list[tuple[str, str]]:
    """Return node and input of each literal seed."""
    return [(node, key) for node, key, value in iterate_literals(workflow) if key in SEED_INPUTS and _is_number(value)]


def check_free_text(workflow: Workflow, field: str) -> None:
    """Raise `WorkflowError` if the server may open the text of an input as a path: people write the text."""
    node, key = find_input(workflow, field)
    if key == PREFIX_INPUT or key.endswith(("_name", "_path", "_file")) or get_class(workflow, node).startswith("Load"):
        raise WorkflowError(f"“{field}” names a file of the server, which nobody may write in a chat")


def fill_in(workflow: Workflow, values: Mapping[str, JSON]) -> dict[str, JSON]:
    """Return a copy of the workflow with values by `node.input`. Raise `WorkflowError` for an unknown input."""
    graph: dict[str, JSON] = deepcopy(dict(workflow))
    for field, value in values.items():
        node, key = find_input(workflow, field)
        get_object(graph[node], "inputs")[key] = value
    return graph


def _is_number(value: JSON) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
