"""Choose a model for a task, and turn a command's options into the model's inputs, within the model's bounds."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bot.core.backend import InputFile, Inputs, InputValue
from bot.core.errors import BadOption, UnknownName
from bot.core.jobs import Job, Output
from bot.core.json import JSON
from bot.core.models import ASPECTS, AddedModel, InputRule, Model, OutputKind, Price, Task

TUNING_OPTIONS = frozenset(
    (
        *("quality", "resolution", "seed", "negative", "steps", "guidance", "scheduler", "format", "strength"),
        *("prompt_upsampling", "safety_tolerance", "face_enhance", "scale", "temperature"),
        *("voice", "speed", "language", "sound"),
    )
)
"""Options that a model may lack: the run goes on without such an option, and the reply says so.

A result without any other option, such as a picture, a mask or a shape, would be another than the requested one.
"""

_MAX_SUGGESTIONS = 3
_NOUNS = {"image": "a picture", "mask": "a mask", "audio": "a sound", "video": "a video"}

DRAFT_QUALITY = "draft"

_FINISHED_OPTIONS = ("prompt", "negative", "aspect", "count", "seed")
_MAX_RATIO_DIFFERENCE = 0.06
"""Models round sides: 1344 by 768 is meant as 16:9, which differs by 2 %."""


@dataclass(frozen=True, slots=True)
class FinishRequest:
    """The options of /imagine that draw a draft on the finer model: the same words, seed, number and shape."""

    model: Model
    options: Mapping[str, JSON]
    inputs: Inputs


@dataclass(frozen=True, slots=True)
class AnimationRequest:
    """The options of /video that move a picture."""

    model: Model
    options: Mapping[str, JSON]


class Catalogue:
    """The models of the catalogue file in order, then the models added at run time, by key in `added`.

    The first model of a task is the task's default. `place` is the platform and workspace whose added models are
    listed; without a place only those for the whole bot.
    """

    def __init__(
        self,
        models: Sequence[Model],
        added: dict[str, AddedModel] | None = None,
        place: tuple[str, str] = ("", ""),
    ) -> None:
        self._file_models = {model.key: model for model in models}
        # Each picture's buttons list models: reading the prices of all models each time would take a fifth of a job.
        self._offered_keys: dict[Task, list[str]] = {}
        for model in self._file_models.values():
            if not model.price.objection:
                self._offered_keys.setdefault(model.task, []).append(model.key)
        self.added: dict[str, AddedModel] = {} if added is None else added
        """`AddedModels` keeps this mapping current, removed models included: their jobs still need prices."""
        self._place = place

    def for_workspace(self, platform: str, workspace: str) -> "Catalogue":
        """Return the catalogue as a workspace sees it, always with the models of now."""
        seen = copy.copy(self)
        seen._place = (platform, workspace)
        return seen

    def __contains__(self, key: str) -> bool:
        return key in self._file_models or key in self.added

    @property
    def _models(self) -> dict[str, Model]:
        """The models on offer in the place, by key."""
        added = self._list_added()
        return {**self._file_models, **{model.key: model for model in added}} if added else self._file_models

    def get(self, key: str) -> Model:
        """Return the model of a key, offered or not, or a bare model with the key as its title."""
        if (model := self._file_models.get(key)) is not None:
            return model
        if (added := self.added.get(key)) is not None:
            return added.model
        # Stored jobs outlive catalogue entries: a removed model still needs a title in histories and messages.
        return Model(
            key,
            title=key,
            task=Task.IMAGINE,
            backend="",
            ref="",
            version="",
            output=OutputKind.TEXT,
            price=Price(),
            max_seconds=0,
            usual_seconds=0,
            inputs={},
        )

    def list_for_task(self, task: Task) -> list[Model]:
        """Return the models of a task on offer, the default first: without models whose price needs the owner's yes."""
        added = [model for model in self._list_added() if model.task is task and not model.price.objection]
        return [*(self._file_models[key] for key in self._offered_keys.get(task, ())), *added]

    def list_all(self) -> list[Model]:
        """Return all models of the place, those of the file first."""
        return [*self._file_models.values(), *self._list_added()]

    def _list_added(self) -> list[Model]:
        """Return the added models of the place, without those whose key a model of the file has."""
        return [
            one.model
            for key, one in self.added.items()
            if key not in self._file_models and one.is_offered_in(*self._place)
        ]

    def list_everything(self) -> list[Model]:
        """Return the models of all places, withdrawn models too."""
        return [*self._file_models.values(), *(one.model for one in self.added.values())]

    def find(self, name: str) -> Model | None:
        """Return the model of any task with a key, title or backend's name."""
        wanted = name.strip().lower()
        return next((model for model in self.list_all() if is_named(model, wanted)), None)

    def choose(
        self,
        task: Task,
        name: str = "",
        *,
        required_option: str = "",
        file_count: int = 0,
        preferred_key: str = "",
    ) -> Model:
        """Return the model with a key, title or backend's name; for an empty name, the default of the task.

        `preferred_key` replaces the first model as the default, and the default accepts `required_option`, with
        `file_count` files, if any model does. Raise `UnknownName` with the nearest name, `BadOption` for a model of
        another task.
        """
        models = self.list_for_task(task)
        if not models:
            raise BadOption(f"No model for /{task} is on offer here. Ask my owner to add one.", option="model")
        if not name:
            preferred = [model for model in models if model.key == preferred_key] if preferred_key else []
            fitting = (model for model in (*preferred, *models) if model.accepts(required_option, file_count))
            return next(fitting, (*preferred, *models)[0])
        wanted = name.strip().lower()
        for model in models:
            if is_named(model, wanted):
                return model
        elsewhere = next((model for model in self._models.values() if wanted == model.key), None)
        if elsewhere is not None and elsewhere.price.objection:
            raise BadOption(f"{elsewhere.title} is off until my owner agrees to its price.", option="model")
        if elsewhere is not None:
            raise BadOption(f"{elsewhere.title} is for /{elsewhere.task}, not for /{task}.", option="model")
        raise UnknownName("model", name, [model.key for model in models], advice="/models lists them.")

    def choose_for_variation(self, key: str) -> Model | None:
        """Return a model for variations of a picture by model `key`: the same, or the first that accepts pictures."""
        original = self._models.get(key)
        if original is not None and original.task is Task.IMAGINE and _starts_from_picture(original):
            return original
        return next((model for model in self.list_for_task(Task.IMAGINE) if _starts_from_picture(model)), None)

    def plan_finish(self, job: Job, picture: Output) -> FinishRequest | None:
        """Return the request that finishes a draft, `picture` being one of its pictures.

        Return None for a model without a finer one on offer, and where the finer model could not draw the same: it
        takes no seed or another shape, or the draft started from a picture.
        """
        draft = self.get(job.model)
        finer = self._models.get(draft.finish)
        is_drawn = job.command == Task.IMAGINE and not any(isinstance(value, dict) for value in job.options.values())
        if finer is None or finer.price.objection or not is_drawn:
            return None
        # Options that the draft was drawn without do not count.
        options = {name: job.options.get(name) for name in _FINISHED_OPTIONS if name in draft.inputs}
        options["aspect"] = options.get("aspect") or _find_aspect(picture.width, picture.height)
        options["seed"] = job.inputs.get(draft.inputs["seed"].name) if "seed" in draft.inputs else None
        if options.get("count") == 1 and "count" not in finer.inputs:
            del options["count"]
        if not options["aspect"] or options["seed"] is None:
            return None
        given = {name: value for name, value in options.items() if value is not None}
        if list_left_out(finer, given):
            return None
        try:
            inputs = self.build_inputs(finer, given)
        except BadOption:
            return None
        return FinishRequest(finer, given, inputs)

    def plan_animation(self) -> AnimationRequest | None:
        """Return the first model on offer that makes a video from a picture, with its cheapest quality if it has one.

        An animation is a press of a button under each picture: a day's credits should last for several.
        """
        model = next((model for model in self.list_for_task(Task.VIDEO) if "image" in model.inputs), None)
        if model is None:
            return None
        has_drafts = "quality" in model.inputs and DRAFT_QUALITY in model.inputs["quality"].choices
        return AnimationRequest(model, {"quality": DRAFT_QUALITY} if has_drafts else {})

    def build_inputs(self, model: Model, options: Inputs) -> dict[str, InputValue]:
        """Return a command's options as inputs, without options of `list_left_out`.

        Raise `BadOption` with the bounds, or with models for the option.
        """
        for name, value in options.items():
            if name in TUNING_OPTIONS and name not in model.inputs:
                continue
            if value is not None and name not in model.inputs:
                hint = _suggest_models(other for other in self.list_for_task(model.task) if name in other.inputs)
                raise BadOption(f"{model.title} does not take {name}.{hint}", option=name)
            if isinstance(value, tuple) and len(value) > (most := model.inputs[name].max_files):
                hint = _suggest_models(
                    other
                    for other in self.list_for_task(model.task)
                    if name in other.inputs and other.inputs[name].max_files >= len(value)
                )
                accepted = "one file" if most == 1 else f"at most {most} files"
                raise BadOption(f"{model.title} takes {accepted} as {name}, not {len(value)}.{hint}", option=name)
        return _apply_input_rules(model, options)


def recover_options(model: Model, other: Model, inputs: Inputs) -> dict[str, InputValue]:
    """Return the options behind a model's inputs, as far as another model has a use for the options.

    Raise `BadOption` if the other model lacks an option that is more than a default, or marks masks in another way.
    """
    options: dict[str, InputValue] = {}
    for option, rule in model.inputs.items():
        if rule.expands:
            choices = (choice for choice, fields in rule.expands.items() if fields.items() <= inputs.items())
            value: InputValue = next(choices, None)
        else:
            value = inputs.get(rule.name)
        # The bot chooses a seed where the user gives none, and a default was not asked for.
        if value is None or (option not in other.inputs and (option == "seed" or value == rule.default)):
            continue
        if option in other.inputs and rule.is_file and rule.mask_style is not other.inputs[option].mask_style:
            raise BadOption(f"{other.title} takes another kind of {option}.", option=option)
        options[option] = value
    return options


def _find_aspect(width: int, height: int) -> str:
    """Return the nearest shape on offer; empty if none is near."""
    if not width or not height:
        return ""
    nearest = min(ASPECTS, key=lambda aspect: _compare_ratio(aspect, width, height))
    return nearest if _compare_ratio(nearest, width, height) <= _MAX_RATIO_DIFFERENCE else ""


def _compare_ratio(aspect: str, width: int, height: int) -> float:
    """Return the difference of two ratios, as a share."""
    across, down = map(int, aspect.split(":"))
    ratio = (width / height) / (across / down)
    return max(ratio, 1 / ratio) - 1


def check_required(model: Model, options: Inputs) -> None:
    """Raise `BadOption` for a missing option without which the model fails, such as a mask."""
    for option, rule in model.inputs.items():
        if rule.is_required and options.get(option) is None:
            noun = _NOUNS.get(option, option)
            raise BadOption(f"{model.title} needs {noun}: give one, or choose another model.", option=option)


def list_left_out(model: Model, options: Inputs) -> list[str]:
    """Return the given options that the model lacks and runs without; none for a model that left the catalogue."""
    if not model.inputs:
        return []
    return [
        name
        for name, value in options.items()
        if name in TUNING_OPTIONS and name not in model.inputs and value is not None
    ]


def _starts_from_picture(model: Model) -> bool:
    """Return whether a model changes a given picture to a given extent; other models take pictures as references."""
    return "image" in model.inputs and "strength" in model.inputs


def is_named(model: Model, wanted: str) -> bool:
    """Return whether a name in lower case means the model."""
    return wanted in (model.key, model.title.lower(), model.ref.lower(), model.ref.lower().split("/")[-1])


def _suggest_models(models: Iterable[Model]) -> str:
    keys = [model.key for model in models][:_MAX_SUGGESTIONS]
    return f" Try {' or '.join(keys)}." if keys else ""


def _apply_input_rules(model: Model, options: Inputs) -> dict[str, InputValue]:
    """Return the inputs to send. The model decides an option that is None, unless the rule has a default."""
    inputs: dict[str, InputValue] = dict(model.fixed)
    for option, rule in model.inputs.items():
        value = options.get(option)
        if value is None:
            value = rule.default
        if value is None:
            continue
        if rule.is_file:
            value = _shape_files(rule, value)
        if not isinstance(value, (InputFile, tuple)):
            _check_value(model, option, rule, value)
        inputs.update(_expand_fields(rule, value))
    return inputs


def _shape_files(rule: InputRule, value: InputValue) -> InputValue:
    """Return one file for a field of one file, a tuple for a field with a list."""
    if isinstance(value, tuple) and not rule.is_file_list:
        return value[0]
    return (value,) if isinstance(value, InputFile) and rule.is_file_list else value


def _expand_fields(rule: InputRule, value: InputValue) -> Inputs:
    fields: dict[str, InputValue] = dict(rule.also)
    if rule.size is not None and isinstance(value, InputFile) and value.width_pixels and value.height_pixels:
        fields.update(rule.size.fit(value.width_pixels, value.height_pixels))
    if rule.expands:
        fields.update(rule.expands[_spell(value)])
    else:
        fields[rule.name] = value
    return fields


def _spell(value: object) -> str:
    """Return a value as the catalogue's choices spell values: `2` for 2.0, `true` for a yes."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _check_value(model: Model, option: str, rule: InputRule, value: JSON) -> None:
    if rule.choices and (spelled := _spell(value)) not in rule.choices:
        raise BadOption(f"{model.title} takes {option} {', '.join(rule.choices)}, not “{spelled}”.", option=option)
    if isinstance(value, str) and rule.max_length is not None and len(value) > rule.max_length:
        raise BadOption(f"{model.title} takes at most {rule.max_length} characters of {option}.", option=option)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return
    low, high = rule.minimum, rule.maximum
    if (low is not None and value < low) or (high is not None and value > high):
        span = f"from {low:g} to {high:g}" if low is not None and high is not None else f"at least {low or 0:g}"
        raise BadOption(f"{model.title} takes {option} {span}, not {value:g}.", option=option)
