"""Options of a command found among the fields of a model: each as an entry of `inputs` in the catalogue's own form."""

from collections.abc import Iterator, Mapping

from bot.catalogue.options import FIELD_NAMES, OPTION_BOUNDS, OPTION_KINDS
from bot.catalogue.values import explain_mismatch
from bot.core.json import JSON
from bot.core.models import Task
from bot.core.published import FieldKind, ModelSchema, SchemaField

_NUMBER_KINDS = {FieldKind.INTEGER, FieldKind.NUMBER}
_ASPECTS = ("1:1", "16:9", "9:16", "3:2", "2:3", "4:3", "3:4")
_DEFAULT_SIDE_PIXELS = 1024
_SIDE_MULTIPLE_PIXELS = 64  # what diffusion models take
_SPELLINGS = {"png": ("png",), "webp": ("webp",), "jpg": ("jpg", "jpeg")}
_DEFAULT_QUESTION = "Describe this picture."

InputTable = str | dict[str, JSON]


def map_options(task: Task, published: ModelSchema) -> dict[str, InputTable]:
    """What `inputs` should say, for the options that the model has a field for. A field serves one option."""
    rules: dict[str, InputTable] = {}
    taken: set[str] = set()
    for option, names in FIELD_NAMES[task].items():
        for name in names:
            field = published.find_field(name)
            if field is None or name in taken or (rule := _make_rule(option, field)) is None:
                continue
            rules[option] = rule
            taken.add(name)
            break
    if task is Task.IMAGINE and "aspect" not in rules and (sizes := _make_sizes(published)):
        rules["aspect"] = {"expands": sizes}
    return rules


def list_mapped_fields(rule: InputTable) -> set[str]:
    """The model's fields that a rule fills."""
    if isinstance(rule, str):
        return {rule}
    expands = rule.get("expands")
    if isinstance(expands, dict):
        return {name for fields in expands.values() if isinstance(fields, dict) for name in fields}
    return {str(rule["to"])}


def _make_rule(option: str, field: SchemaField) -> InputTable | None:
    """None when the option's values would not fit the field."""
    kind = OPTION_KINDS[option]
    if kind is FieldKind.FILE:
        return {"to": field.name, "file": True} if FieldKind.FILE in field.kinds else None
    if kind in _NUMBER_KINDS:
        return _make_number_rule(option, field) if field.kinds & _NUMBER_KINDS else None
    if kind not in field.kinds:
        return None
    if option == "format":
        return _make_format_rule(field)
    rule: dict[str, JSON] = {"to": field.name}
    if field.choices:
        rule["choices"] = [str(choice) for choice in field.choices]
    if field.max_length is not None:
        rule["max_length"] = field.max_length
    if option == "question" and field.is_required:
        rule["default"] = str(field.choices[0]) if field.choices else _DEFAULT_QUESTION[: field.max_length]
    return rule if len(rule) > 1 else field.name


def _make_number_rule(option: str, field: SchemaField) -> InputTable | None:
    if field.choices:
        # The price counts pictures by the field that `count` names, so it cannot be spelled out.
        return None if option == "count" else {"expands": dict(_spell_choices(field))}
    least, most = OPTION_BOUNDS.get(option, (None, None))
    lows = [low for low in (least, field.minimum) if low is not None]
    highs = [high for high in (most, field.maximum) if high is not None]
    if lows and highs and max(lows) > min(highs):
        return None  # nothing that people may ask for is taken
    rule: dict[str, JSON] = {"to": field.name}
    if lows:
        rule["minimum"] = max(lows)
    if highs:
        rule["maximum"] = min(highs)
    if option == "max_tokens":
        rule["default"] = max([min([1024, *highs]), *lows])
    return rule if len(rule) > 1 else field.name


def _spell_choices(field: SchemaField) -> Iterator[tuple[str, JSON]]:
    """Each allowed number under the names that an option may give it: 2 and 2.0."""
    for choice in field.choices:
        if isinstance(choice, int | float):
            for name in dict.fromkeys((f"{choice:g}", str(float(choice)))):
                yield name, {field.name: choice}


def _make_format_rule(field: SchemaField) -> InputTable | None:
    known = [str(choice) for choice in field.choices]
    found = {ours: theirs for ours, words in _SPELLINGS.items() for theirs in words if theirs in known}
    if not found:
        return None
    default: dict[str, JSON] = {"default": "png" if "png" in found else next(iter(found))}
    if all(ours == theirs for ours, theirs in found.items()):
        return {"to": field.name, "choices": list(found), **default}
    return {"expands": {ours: {field.name: theirs} for ours, theirs in found.items()}, **default}


def _make_sizes(published: ModelSchema) -> dict[str, JSON]:
    """Shapes as widths and heights that the model takes, about as many pixels each as its usual picture has."""
    width, height = published.find_field("width"), published.find_field("height")
    if width is None or height is None or not (width.kinds & _NUMBER_KINDS and height.kinds & _NUMBER_KINDS):
        return {}
    pixels = _choose_side(width) * _choose_side(height)
    sizes: dict[str, JSON] = {}
    for aspect in _ASPECTS:
        across, down = (int(part) for part in aspect.split(":"))
        size = {
            "width": _round_to_field((pixels * across / down) ** 0.5, width),
            "height": _round_to_field((pixels * down / across) ** 0.5, height),
        }
        is_taken = not (explain_mismatch(width, size["width"]) or explain_mismatch(height, size["height"]))
        if is_taken and _is_near_ratio(size, across / down):
            sizes[aspect] = dict(size)
    return sizes


def _choose_side(field: SchemaField) -> float:
    default = field.default if isinstance(field.default, int | float) and field.default > 0 else _DEFAULT_SIDE_PIXELS
    return min(default, field.maximum or default)


def _round_to_field(pixels: float, field: SchemaField) -> int:
    choices = [choice for choice in field.choices if isinstance(choice, int)]
    if choices:
        return min(choices, key=lambda choice: abs(choice - pixels))
    return max(_SIDE_MULTIPLE_PIXELS, round(pixels / _SIDE_MULTIPLE_PIXELS) * _SIDE_MULTIPLE_PIXELS)


def _is_near_ratio(size: Mapping[str, int], ratio: float) -> bool:
    return abs(size["width"] / size["height"] / ratio - 1) < 0.12
