"""A workflow as a model with a schema: its inputs that an entry can name, and the nodes and files it needs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from bot.backends.comfyui.client import ComfyUIClient
from bot.core.json import JSON, as_object, get_object
from bot.core.models import FieldKind, ModelSchema, OutputKind, SchemaField
from bot.core.workflows import SEED_INPUTS, Workflow, get_class, get_title, iterate_literals, list_classes

_KINDS = {
    "INT": FieldKind.INTEGER,
    "FLOAT": FieldKind.NUMBER,
    "STRING": FieldKind.TEXT,
    "BOOLEAN": FieldKind.BOOLEAN,
}
_UPLOAD_MARKS = ("image_upload", "video_upload", "audio_upload", "upload", "file_upload")

# Where a sampler's words come from: links from node to node.
_WORD_LINKS = ("positive", "negative", "conditioning", "guider", "text", "prompt", "string", "value")
_MAX_HOPS = 6
_WORD_INPUTS = ("text", "prompt", "value", "string")

# The names by which `option_mapping` knows options, for inputs with names of their own.
_ALIASES = {
    "noise_seed": "seed",
    "batch_size": "num_outputs",
    "denoise": "denoising_strength",
    "scale_by": "scale",
}

# ComfyUI ships this picture: a workflow that loads it waits for another.
_EXAMPLE_PICTURE = "example.png"
_MAX_NAMED = 3


@dataclass(frozen=True, slots=True)
class ComfyUINodeInput:
    """One literal input of a node, with the description of its class. `choices` are None without a list of values."""

    node: str
    key: str
    value: JSON
    kind: str
    bounds: Mapping[str, JSON] = field(default_factory=dict)
    choices: Sequence[JSON] | None = None

    @property
    def is_upload(self) -> bool:
        return any(self.bounds.get(mark) for mark in _UPLOAD_MARKS)


async def read_schema(client: ComfyUIClient, workflow: Workflow, ref: str) -> ModelSchema:
    """Return the inputs of a workflow, and what the server lacks for the workflow."""
    classes = {name: await client.get_class(name) for name in list_classes(workflow)}
    problems = [
        f"needs the node {name}, which the server does not have: install it in ComfyUI, or take it out of {ref}."
        for name, found in classes.items()
        if found is None
    ]
    known = {name: found for name, found in classes.items() if found is not None}
    inputs = list(_iterate_inputs(workflow, known))
    problems += [problem for one in inputs if (problem := _describe_missing_file(workflow, one))]
    return ModelSchema(
        ref=ref,
        version="",
        newest_version="",
        is_official=True,
        fields=tuple(_make_fields(workflow, inputs)),
        output=_find_output(workflow, known),
        backend=client.config.name,
        page="own hardware",
        problems=tuple(problems),
    )


def _iterate_inputs(workflow: Workflow, classes: Mapping[str, Mapping[str, JSON]]) -> Iterator[ComfyUINodeInput]:
    for node, key, value in iterate_literals(workflow):
        groups = get_object(dict(classes.get(get_class(workflow, node), {})), "input")
        declared = {**get_object(groups, "required"), **get_object(groups, "optional")}.get(key)
        if not isinstance(declared, list) or not declared:
            continue
        bounds = as_object(declared[1]) if len(declared) > 1 else {}
        # The older form lists the values, the newer names them as options.
        listed = declared[0] if isinstance(declared[0], list) else bounds.get("options")
        kind = declared[0] if isinstance(declared[0], str) else "COMBO"
        yield ComfyUINodeInput(node, key, value, kind, bounds, listed if isinstance(listed, list) else None)


def _describe_missing_file(workflow: Workflow, one: ComfyUINodeInput) -> str:
    """Return what is wrong with a value that the class does not list, such as a model file; empty for a good value."""
    if one.choices is None or one.is_upload or one.value in one.choices:
        return ""
    known = [str(choice) for choice in one.choices]
    nearest = get_close_matches(str(one.value), known, n=_MAX_NAMED, cutoff=0.3) or known[:_MAX_NAMED]
    offer = f"it has {', '.join(nearest)}" if nearest else "it has none"
    where = f"{get_title(workflow, one.node)}.{one.key}"
    return f"names {one.value} in {where}, which the server does not have: {offer}."


def _make_fields(workflow: Workflow, inputs: Sequence[ComfyUINodeInput]) -> Iterator[SchemaField]:
    titles = [get_title(workflow, node) for node in workflow]
    words = _find_words(workflow)
    used_aliases: set[str] = set()
    has_picture = any(one.is_upload for one in inputs)
    for one in inputs:
        title, by_id = get_title(workflow, one.node), f"{one.node}.{one.key}"
        name = f"{title}.{one.key}" if titles.count(title) == 1 else by_id
        meaning = words.get((one.node, one.key)) or _ALIASES.get(one.key, one.key)
        if one.is_upload:
            meaning = "image"
        elif meaning in ("prompt", "negative_prompt") and (one.node, one.key) not in words:
            meaning = by_id
        elif one.key == "denoise" and not has_picture:
            meaning = by_id  # without a picture to start from, less than all of it leaves noise
        aliases = {by_id, *({meaning} - used_aliases)} - {name}
        used_aliases |= aliases
        yield SchemaField(
            name,
            frozenset([FieldKind.FILE if one.is_upload else _KINDS.get(one.kind, FieldKind.TEXT)]),
            is_required=one.is_upload and (one.value == _EXAMPLE_PICTURE or one.value not in (one.choices or ())),
            default=None if one.is_upload else one.value,
            minimum=_get_bound(one, "min"),
            maximum=_get_bound(one, "max"),
            choices=() if one.is_upload or one.choices is None else tuple(one.choices),
            aliases=tuple(aliases),
        )


def _get_bound(one: ComfyUINodeInput, name: str) -> float | None:
    value = one.bounds.get(name)
    # The commands' own bounds of seeds lie within those of every node.
    if one.key in SEED_INPUTS or isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def _find_words(workflow: Workflow) -> dict[tuple[str, str], str]:
    """Return the inputs with the words of a prompt and of a negative prompt, from the links of the samplers."""
    found: dict[tuple[str, str], str] = {}
    for node in workflow:
        inputs = get_object(workflow[node], "inputs")
        is_sampling = "sampler" in get_class(workflow, node).lower()
        for key, meaning in (("positive", "prompt"), ("guider", "prompt"), ("negative", "negative_prompt")):
            place = _follow_words(workflow, inputs.get(key)) if is_sampling else None
            if place is not None:
                found.setdefault(place, meaning)
    if "prompt" not in found.values():
        texts = [(node, key) for node, key, value in iterate_literals(workflow) if _is_words(key, value)]
        found |= dict.fromkeys(texts[:1], "prompt")
    return found


def _follow_words(workflow: Workflow, link: JSON) -> tuple[str, str] | None:
    for _ in range(_MAX_HOPS):
        node = str(link[0]) if isinstance(link, list) and link else ""
        if node not in workflow:
            return None
        inputs = get_object(workflow[node], "inputs")
        if (key := next((key for key in _WORD_INPUTS if _is_words(key, inputs.get(key))), "")) != "":
            return node, key
        link = next((inputs[key] for key in _WORD_LINKS if isinstance(inputs.get(key), list)), None)
    return None


def _is_words(key: str, value: JSON) -> bool:
    return key in _WORD_INPUTS and isinstance(value, str)


def _find_output(workflow: Workflow, classes: Mapping[str, Mapping[str, JSON]]) -> OutputKind | None:
    """Return what the saving nodes give, by the names of their classes; None without such a node."""
    saving = [name.lower() for name, about in classes.items() if about.get("output_node") is True]
    for words, kind in (
        (("video", "webm", "animated"), OutputKind.VIDEO),
        (("audio",), OutputKind.AUDIO),
        (("image",), OutputKind.PICTURES),
        (("text", "any", "string"), OutputKind.TEXT),
    ):
        if any(word in name for name in saving for word in words):
            return kind
    return OutputKind.FILES if saving else None
