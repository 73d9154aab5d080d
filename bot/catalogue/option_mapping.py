"""Map the options of commands to the fields of a published model, and check values against fields."""

import json
from collections.abc import Iterator, Mapping, Sequence

from bot.core.file_types import RECORDINGS, MediaKind
from bot.core.json import JSON, is_same_value
from bot.core.models import OUTPAINTS, FieldKind, ModelSchema, SchemaField, Task

OPTION_KINDS: Mapping[str, FieldKind] = {
    "prompt": FieldKind.TEXT,
    "aspect": FieldKind.TEXT,
    "count": FieldKind.INTEGER,
    "quality": FieldKind.TEXT,
    "resolution": FieldKind.TEXT,
    "seed": FieldKind.INTEGER,
    "negative": FieldKind.TEXT,
    "steps": FieldKind.INTEGER,
    "guidance": FieldKind.NUMBER,
    "scheduler": FieldKind.TEXT,
    "prompt_upsampling": FieldKind.BOOLEAN,
    "safety_tolerance": FieldKind.INTEGER,
    "format": FieldKind.TEXT,
    "image": FieldKind.FILE,
    "images": FieldKind.FILE,
    "name": FieldKind.TEXT,
    "trigger": FieldKind.TEXT,
    "strength": FieldKind.NUMBER,
    "mask": FieldKind.FILE,
    "outpaint": FieldKind.TEXT,
    "scale": FieldKind.NUMBER,
    "face_enhance": FieldKind.BOOLEAN,
    "question": FieldKind.TEXT,
    "read_text": FieldKind.BOOLEAN,
    "audio": FieldKind.FILE,
    "language": FieldKind.TEXT,
    "text": FieldKind.TEXT,
    "voice": FieldKind.TEXT,
    "speed": FieldKind.NUMBER,
    "lyrics": FieldKind.TEXT,
    "duration": FieldKind.INTEGER,
    "last": FieldKind.FILE,
    "sound": FieldKind.BOOLEAN,
    "video": FieldKind.FILE,
    "messages": FieldKind.OTHER,
    "tools": FieldKind.OTHER,
    "system": FieldKind.TEXT,
    "temperature": FieldKind.NUMBER,
    "max_tokens": FieldKind.INTEGER,
}

_IMAGE_FIELDS = (
    *("image", "input_image", "img", "image_path", "init_image", "image_prompt", "image_url"),
    *("image_input", "input_images", "images", "reference_images", "init_images"),
)

_MAX_TOKENS_FIELDS = ("max_tokens", "max_new_tokens", "max_completion_tokens", "max_output_tokens", "max_length")

# The names that models on Replicate use for each option, likeliest first.
FIELD_NAMES: Mapping[Task, Mapping[str, tuple[str, ...]]] = {
    Task.IMAGINE: {
        "prompt": ("prompt", "text_prompt", "text", "caption"),
        "aspect": ("aspect_ratio", "aspect"),
        "count": ("num_outputs", "num_images", "number_of_images", "num_samples", "n_images", "n", "batch_size"),
        "quality": ("quality",),
        "resolution": ("resolution", "size", "megapixels", "output_megapixels"),
        "seed": ("seed",),
        "negative": ("negative_prompt", "n_prompt"),
        "steps": ("num_inference_steps", "inference_steps", "num_steps", "ddim_steps", "steps"),
        "guidance": ("guidance_scale", "guidance", "cfg_scale", "cfg"),
        "scheduler": ("scheduler", "sampler", "sampler_name"),
        "prompt_upsampling": ("prompt_upsampling", "enhance_prompt", "magic_prompt"),
        "safety_tolerance": ("safety_tolerance",),
        "format": ("output_format", "format"),
        "image": _IMAGE_FIELDS,
        "strength": ("prompt_strength", "denoising_strength", "strength"),
    },
    Task.EDIT: {
        "prompt": ("prompt", "instruction", "edit_prompt", "text"),
        "image": _IMAGE_FIELDS,
        "mask": ("mask", "mask_image", "image_mask"),
        "outpaint": ("outpaint",),
        "aspect": ("aspect_ratio", "aspect"),
        "seed": ("seed",),
        "steps": ("num_inference_steps", "inference_steps", "num_steps", "steps"),
        "guidance": ("guidance_scale", "guidance", "cfg_scale", "cfg"),
        "format": ("output_format", "format"),
    },
    Task.REMOVE_BACKGROUND: {"image": _IMAGE_FIELDS},
    Task.RESTORE: {"image": _IMAGE_FIELDS, "scale": ("scale", "upscale", "scale_factor", "rescaling_factor")},
    Task.UPSCALE: {
        "image": _IMAGE_FIELDS,
        "scale": (
            "scale",
            "scale_factor",
            "upscale_factor",
            "upscale",
            "outscale",
            "rescaling_factor",
            "upscaling_resize",
        ),
        "face_enhance": ("face_enhance", "face_enhancement"),
    },
    Task.CAPTION: {
        "image": _IMAGE_FIELDS,
        "question": ("question", "prompt", "query", "text"),
        "read_text": (),  # no field of a schema says whether a model reads: an entry says so by hand
        "max_tokens": _MAX_TOKENS_FIELDS,
    },
    Task.TRANSCRIBE: {
        "audio": ("audio", "audio_file", "file", "audio_path", "input_audio", "media"),
        "language": ("language", "language_code"),
    },
    Task.SPEAK: {
        "text": ("text", "prompt", "input", "gen_text"),
        "voice": ("voice", "voice_id", "speaker"),
        "speed": ("speed", "speaking_rate"),
        "language": ("language", "language_code", "language_boost"),
    },
    Task.MUSIC: {
        "prompt": ("prompt", "text", "style", "description"),
        "lyrics": ("lyrics",),
        "duration": ("duration", "seconds", "seconds_total"),
        "seed": ("seed",),
    },
    Task.VIDEO: {
        "prompt": ("prompt", "text_prompt", "text"),
        "image": ("image", "start_image", "first_frame_image", "first_frame", "input_image", "image_url"),
        "last": ("last_frame_image", "last_frame", "last_image", "end_image", "tail_image"),
        "duration": ("duration", "seconds", "video_length"),
        "resolution": ("resolution", "quality", "size"),
        "quality": ("quality", "mode"),
        "aspect": ("aspect_ratio", "aspect"),
        "sound": ("generate_audio", "save_audio", "generate_audio_switch", "sound"),
        "audio": ("audio", "audio_file", "input_audio"),
        "video": ("video", "input_video", "video_path"),
        "negative": ("negative_prompt", "n_prompt"),
        "seed": ("seed",),
    },
    Task.CHAT: {
        "messages": ("messages",),
        "system": ("system_prompt", "system_instruction", "system"),
        "image": _IMAGE_FIELDS,
        "prompt": ("prompt", "message", "input", "text"),
        "temperature": ("temperature",),
        "max_tokens": _MAX_TOKENS_FIELDS,
    },
    Task.RUN: {},
    Task.TRAIN: {
        "images": ("input_images",),
        "name": ("destination",),
        "trigger": ("token_string", "trigger_word"),
        "steps": ("max_train_steps", "steps", "training_steps"),
    },
}
"""`strength` is the distance from the input picture. `image_prompt_strength` is missing: its scale is the opposite."""

OPTION_BOUNDS: Mapping[str, tuple[float | None, float | None]] = {
    "count": (1, 4),
    "steps": (1, 100),
    "scale": (1, 10),
    "max_tokens": (1, 4096),
}
"""The bounds of the commands' own options, tighter than many models: large values cost money."""


OPTION_MEDIA: Mapping[Task, Mapping[str, tuple[MediaKind, ...]]] = {
    Task.TRANSCRIBE: {"audio": RECORDINGS},
    Task.VIDEO: {"audio": (MediaKind.AUDIO,), "video": (MediaKind.VIDEO,)},
}
"""The kinds of files of an option that takes no pictures."""

_NUMBER_KINDS = {FieldKind.INTEGER, FieldKind.NUMBER}
_ASPECTS = ("1:1", "16:9", "9:16", "3:2", "2:3", "4:3", "3:4")
_DEFAULT_SIDE_PIXELS = 1024
_SIDE_MULTIPLE_PIXELS = 64  # diffusion models accept multiples of 64
_SPELLINGS = {"png": ("png",), "webp": ("webp",), "jpg": ("jpg", "jpeg")}
# No schema tells the most files; a reader of the model's page may raise the number.
_DRAFTED_FILES = 4
_DEFAULT_QUESTION = "Describe this picture."

InputTable = str | dict[str, JSON]


def map_options(task: Task, published: ModelSchema) -> dict[str, InputTable]:
    """Return the entry's `inputs`: a rule for each option with a field in the model. A field serves one option."""
    rules: dict[str, InputTable] = {}
    used_fields: set[str] = set()
    for option, names in FIELD_NAMES.get(task, {}).items():
        for name in names:
            field = published.find_field(name)
            if field is None or field.name in used_fields or (rule := _make_rule(task, option, field)) is None:
                continue
            rules[option] = rule
            used_fields.add(field.name)
            break
    if task is Task.IMAGINE and "aspect" not in rules and (sizes := _make_sizes(published)):
        rules["aspect"] = {"expands": sizes}
    if "messages" in rules:
        # Beside messages these models ignore the other fields for words.
        rules = {option: rule for option, rule in rules.items() if option not in ("prompt", "system")}
    return rules


def list_mapped_fields(rule: InputTable) -> set[str]:
    """Return the model's fields that a rule fills."""
    if isinstance(rule, str):
        return {rule}
    expands = rule.get("expands")
    if isinstance(expands, dict):
        return {name for fields in expands.values() if isinstance(fields, dict) for name in fields}
    return {str(rule["to"])}


def _make_rule(task: Task, option: str, field: SchemaField) -> InputTable | None:
    """Return the rule of an option, or None if the field does not accept the option's values."""
    kind = OPTION_KINDS[option]
    if kind is FieldKind.FILE:
        return _make_file_rule(field, OPTION_MEDIA.get(task, {}).get(option, ()))
    if kind in _NUMBER_KINDS:
        return _make_number_rule(option, field) if field.kinds & _NUMBER_KINDS else None
    if kind not in field.kinds:
        return None
    if option == "format":
        return _make_format_rule(field)
    if option == "outpaint":
        return _make_outpaint_rule(field)
    rule: dict[str, JSON] = {"to": field.name}
    if option == "sound" and field.default is not None:
        rule["default"] = field.default  # silent videos may cost less
    if field.choices:
        rule["choices"] = [str(choice) for choice in field.choices]
    if field.max_length is not None:
        rule["max_length"] = field.max_length
    if option == "question" and field.is_required:
        rule["default"] = str(field.choices[0]) if field.choices else _DEFAULT_QUESTION[: field.max_length]
    return rule if len(rule) > 1 else field.name


def _make_file_rule(field: SchemaField, kinds: Sequence[MediaKind]) -> InputTable | None:
    media: dict[str, JSON] = {"media": [str(kind) for kind in kinds]} if kinds else {}
    if FieldKind.FILE in field.kinds:
        return {"to": field.name, "file": True, **media}
    return {"to": field.name, "files": _DRAFTED_FILES, **media} if FieldKind.FILES in field.kinds else None


def _make_number_rule(option: str, field: SchemaField) -> InputTable | None:
    if field.choices:
        # The price counts pictures by the field that `count` names, so it cannot be spelled out.
        if option == "count":
            return None
        length: dict[str, JSON] = {} if option != "duration" or field.default is None else {"default": field.default}
        return {"expands": dict(_spell_choices(field)), **length}
    least, most = OPTION_BOUNDS.get(option, (None, None))
    lows = [low for low in (least, field.minimum) if low is not None]
    highs = [high for high in (most, field.maximum) if high is not None]
    if lows and highs and max(lows) > min(highs):
        return None  # the command's bounds and the field's bounds do not overlap
    rule: dict[str, JSON] = {"to": field.name}
    if lows:
        rule["minimum"] = max(lows)
    if highs:
        rule["maximum"] = min(highs)
    if option == "max_tokens":
        rule["default"] = max([min([1024, *highs]), *lows])
    if option == "duration" and field.default is not None:
        rule["default"] = field.default  # the length decides the price: the model must not choose another
    return rule if len(rule) > 1 else field.name


def _spell_choices(field: SchemaField) -> Iterator[tuple[str, JSON]]:
    """Yield each accepted number as the catalogue spells numbers: 2, and not 2.0."""
    for choice in field.choices:
        if isinstance(choice, int | float):
            yield f"{choice:g}", {field.name: choice}


def _make_format_rule(field: SchemaField) -> InputTable | None:
    known = [str(choice) for choice in field.choices]
    formats = {ours: theirs for ours, words in _SPELLINGS.items() for theirs in words if theirs in known}
    if not formats:
        return None
    default: dict[str, JSON] = {"default": "png" if "png" in formats else next(iter(formats))}
    if all(ours == theirs for ours, theirs in formats.items()):
        return {"to": field.name, "choices": list(formats), **default}
    return {"expands": {ours: {field.name: theirs} for ours, theirs in formats.items()}, **default}


def _make_outpaint_rule(field: SchemaField) -> InputTable | None:
    """Return the model's words for each way to grow: "left" stands for `Left outpaint`."""
    ways: dict[str, JSON] = {
        ours: {field.name: theirs} for ours in OUTPAINTS for theirs in field.choices if ours in str(theirs).lower()
    }
    return {"expands": ways} if ways else None


def _make_sizes(published: ModelSchema) -> dict[str, JSON]:
    """Return width and height by aspect ratio, within the fields' bounds, with the area of the default size."""
    width, height = published.find_field("width"), published.find_field("height")
    if width is None or height is None or not (width.kinds & _NUMBER_KINDS and height.kinds & _NUMBER_KINDS):
        return {}
    pixels = _choose_side(width) * _choose_side(height)
    sizes: dict[str, JSON] = {}
    for aspect in _ASPECTS:
        across, down = (int(part) for part in aspect.split(":"))
        size = (
            _round_to_field((pixels * across / down) ** 0.5, width),
            _round_to_field((pixels * down / across) ** 0.5, height),
        )
        is_accepted = not (explain_mismatch(width, size[0]) or explain_mismatch(height, size[1]))
        if is_accepted and _is_near_ratio(size, across / down):
            sizes[aspect] = {width.name: size[0], height.name: size[1]}
    return sizes


def _choose_side(field: SchemaField) -> float:
    default = field.default if isinstance(field.default, int | float) and field.default > 0 else _DEFAULT_SIDE_PIXELS
    return min(default, field.maximum or default)


def _round_to_field(pixels: float, field: SchemaField) -> int:
    choices = [choice for choice in field.choices if isinstance(choice, int)]
    if choices:
        return min(choices, key=lambda choice: abs(choice - pixels))
    return max(_SIDE_MULTIPLE_PIXELS, round(pixels / _SIDE_MULTIPLE_PIXELS) * _SIDE_MULTIPLE_PIXELS)


def _is_near_ratio(size: tuple[int, int], ratio: float) -> bool:
    return abs(size[0] / size[1] / ratio - 1) < 0.12


def explain_mismatch(field: SchemaField, value: JSON) -> str:
    """Return the reason that a field refuses a value, as the end of a sentence; empty for an accepted value."""
    if value is None:
        return "" if field.is_nullable or not field.is_required else "it must not be empty"
    if not any(_is_of_kind(kind, value) for kind in field.kinds):
        return f"it takes {format_kinds(field, article='a ')}"
    if field.choices and not any(is_same_value(value, choice) for choice in field.choices):
        return f"it takes {', '.join(format_value(choice) for choice in field.choices)}"
    if isinstance(value, str):
        is_long = field.max_length is not None and len(value) > field.max_length
        return f"it takes at most {field.max_length} characters" if is_long else ""
    return _explain_bounds(field, value)


def format_value(value: JSON) -> str:
    """Return a value as in the catalogue's TOML."""
    return json.dumps(value, ensure_ascii=False)


def format_kinds(field: SchemaField, *, article: str = "") -> str:
    """Return the kinds of a field: "number or text", or "a number or a text" with the article "a "."""
    return " or ".join(sorted(str(kind) if kind is FieldKind.OTHER else f"{article}{kind}" for kind in field.kinds))


def _is_of_kind(kind: FieldKind, value: JSON) -> bool:
    if kind is FieldKind.OTHER:
        return True
    if isinstance(value, bool):
        return kind is FieldKind.BOOLEAN
    if isinstance(value, str):
        return kind in (FieldKind.TEXT, FieldKind.FILE)
    if isinstance(value, list):
        return kind in (FieldKind.FILES, FieldKind.TEXTS, FieldKind.NUMBERS)
    if isinstance(value, float) and not value.is_integer():
        return kind is FieldKind.NUMBER
    return isinstance(value, int | float) and kind in (FieldKind.INTEGER, FieldKind.NUMBER)


def _explain_bounds(field: SchemaField, value: JSON) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    if field.minimum is not None and value < field.minimum:
        return f"it takes {field.minimum:g} and more"
    if field.maximum is not None and value > field.maximum:
        return f"it takes at most {field.maximum:g}"
    return ""
