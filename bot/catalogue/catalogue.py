"""Choose a model for a task, and turn a command's options into the model's inputs, within the model's bounds."""

from collections.abc import Iterable, Sequence

from bot.core.backend import InputFile, Inputs, InputValue
from bot.core.errors import BadOption, UnknownName
from bot.core.json import JSON
from bot.core.models import InputRule, Model, OutputKind, Price, Task

_MAX_SUGGESTIONS = 3


class Catalogue:
    """The models in the order of the catalogue file: the first model of a task is the task's default."""

    def __init__(self, models: Sequence[Model]) -> None:
        self._models = {model.key: model for model in models}

    def __contains__(self, key: str) -> bool:
        return key in self._models

    def get(self, key: str) -> Model:
        """Return the model of a key, or a bare model with the key as its title."""
        if (model := self._models.get(key)) is not None:
            return model
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
        return [model for model in self._models.values() if model.task is task and not model.price.objection]

    def list_all(self) -> list[Model]:
        return list(self._models.values())

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
            models.sort(key=lambda model: model.key != preferred_key)
            return next((model for model in models if model.accepts(required_option, file_count)), models[0])
        wanted = name.strip().lower()
        for model in models:
            if wanted in (model.key, model.title.lower(), model.ref.lower(), model.ref.lower().split("/")[-1]):
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
        if original is not None and original.task is Task.IMAGINE and "image" in original.inputs:
            return original
        return next((model for model in self.list_for_task(Task.IMAGINE) if "image" in model.inputs), None)

    def find_finer(self, draft: Model) -> Model | None:
        """Return the model on offer that finishes a draft model's pictures, or None."""
        finer = self._models.get(draft.finish)
        return finer if finer is not None and not finer.price.objection else None

    def build_inputs(self, model: Model, options: Inputs) -> dict[str, InputValue]:
        """Return a command's options as inputs. Raise `BadOption` with the bounds, or with models for the option."""
        for name, value in options.items():
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
    if rule.expands:
        fields.update(rule.expands[str(value)])
    else:
        fields[rule.name] = value
    return fields


def _check_value(model: Model, option: str, rule: InputRule, value: JSON) -> None:
    if rule.choices and str(value) not in rule.choices:
        raise BadOption(f"{model.title} draws {option} {', '.join(rule.choices)}, not “{value}”.", option=option)
    if isinstance(value, str) and rule.max_length is not None and len(value) > rule.max_length:
        raise BadOption(f"{model.title} takes at most {rule.max_length} characters of {option}.", option=option)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return
    low, high = rule.minimum, rule.maximum
    if (low is not None and value < low) or (high is not None and value > high):
        span = f"from {low:g} to {high:g}" if low is not None and high is not None else f"at least {low or 0:g}"
        raise BadOption(f"{model.title} takes {option} {span}, not {value:g}.", option=option)
