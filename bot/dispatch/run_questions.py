"""The question before a `/run`: the inputs, the bound of the cost, and the form that changes inputs, step by step."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bot.core.backend import InputFile, InputValue
from bot.core.errors import BadOption, ConfirmationRequired, EaselError
from bot.core.invocations import Attachment, Invocation, Link, name_file
from bot.core.json import JSON
from bot.core.models import InputRule, SchemaField
from bot.core.money import Estimate
from bot.core.people import User
from bot.core.platform import get_platform_syntax
from bot.credits.pricing import estimate_cost
from bot.dispatch.declaration import OptionKind, OptionValue, Services
from bot.dispatch.forms import FormDraft
from bot.dispatch.model_runs import RunTarget
from bot.dispatch.run_forms import (
    FILE_NAMES,
    declare_form,
    dump_inputs,
    find_missing,
    format_inputs,
    list_marks,
    read_inputs,
    read_submission,
    show_values,
    take_mark,
)

_MAX_NAMED_FIELDS = 15
_MAX_FORM_CHARACTERS = 3_000
"""The longest text of a field in Slack's forms, the smallest of all."""


@dataclass(slots=True)
class RunRequest:
    """The inputs of one run by field, with the files by mark. Files are stored and not claimed yet."""

    target: RunTarget
    values: dict[str, JSON]
    files: dict[str, InputFile] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name that finds the same model again, at the same version."""
        model = self.target.model
        if self.target.is_approved:
            return model.key
        return f"{model.ref}:{model.version}" if model.version else model.ref

    def build_options(self) -> dict[str, InputValue]:
        """Return the options of a job: the values to send, marks replaced by files."""
        options: dict[str, InputValue] = {}
        for name, value in self.values.items():
            rule = self.target.model.inputs.get(name)
            if rule is None or not rule.is_file:
                options[name] = value
                continue
            files = tuple(self.files[str(mark)] for mark in (value if isinstance(value, list) else [value]))
            options[name] = files if rule.is_file_list else files[0]
        return options


async def read_request(
    services: Services, target: RunTarget, text: str, given: Mapping[str, Attachment | Link]
) -> RunRequest:
    """Return the typed inputs with their files stored. `given` are the attached files by mark.

    Raise a `UserError`, and then no file is kept.
    """
    request = RunRequest(target, read_inputs(target.fields, text, list(given)))
    try:
        for name, value in list(request.values.items()):
            rule = target.model.inputs.get(name)
            if rule is None or not rule.is_file:
                continue
            marks = [
                await _take_file(services, request, rule, str(mark), given)
                for mark in (value if isinstance(value, list) else [value])
            ]
            request.values[name] = list(marks) if isinstance(value, list) else marks[0]
    except BaseException:
        services.media.release(request.files.values())
        raise
    return request


async def _take_file(
    services: Services, request: RunRequest, rule: InputRule, mark: str, given: Mapping[str, Attachment | Link]
) -> str:
    """Store a file, and return its mark; a link gets the mark of an attached file, for the price is for these bytes."""
    if mark in request.files:
        return mark
    source = given.get(mark) or Link(mark)
    if mark not in FILE_NAMES:
        mark = take_mark({*request.files, *given})
    request.files[mark] = await services.media.load_input(source, rule)
    return mark


def estimate_request(services: Services, request: RunRequest) -> Estimate:
    """Return the cost of a run. Raise `BadOption` for inputs that the model refuses."""
    inputs = services.catalogue.build_inputs(request.target.model, request.build_options())
    return estimate_cost(request.target.model, inputs)


def ask_before_run(services: Services, invocation: Invocation, request: RunRequest, note: str = "") -> EaselError:
    """Return the question of a run as an error to raise: the inputs, the price, and a button for each step of the form.

    `note` is a sentence above the buttons, such as the lack of an approval. The files are kept for the answer.
    """
    target = request.target
    missing = find_missing(target.fields, request.values)
    inputs = dump_inputs(request.values)
    lines = [f"**{target.model.title}** · {target.model.ref}", *format_inputs(target.fields, request.values)]
    others = [field.name for field in target.fields if field.name not in request.values and field.name not in missing]
    if others:
        more = f" and {len(others) - _MAX_NAMED_FIELDS} more" if len(others) > _MAX_NAMED_FIELDS else ""
        lines.append(f"Left to the model: {', '.join(others[:_MAX_NAMED_FIELDS])}{more}.")
    price_micros, label = 0, "Run"
    if missing:
        lines.append(f"Still needed: {', '.join(missing)}.")
    else:
        estimate = estimate_request(services, request)
        price_micros = estimate.max_micros
        shown = services.credits.formatter.format_estimate(estimate)
        lines.append(f"This costs {shown}.")
        label = "Run" if target.is_approved else "Ask for approval" if note else "Run"
    lines += [note] if note else []
    services.media.claim(request.files.values())
    return ConfirmationRequired(
        "\n".join(lines),
        button_label=label,
        price_micros=price_micros,
        files={mark.removeprefix("@"): file.sha256 for mark, file in request.files.items()},
        options={"model": request.name, "inputs": inputs},
        form_labels=[title for title, _ in list_steps(target.fields, invocation.user.platform)],
        is_complete=not missing,
    )


def list_steps(fields: Sequence[SchemaField], platform: str) -> list[tuple[str, tuple[str, ...]]]:
    """Return the label and the fields of each step of a form: one step, where forms may have any number of fields."""
    most = get_platform_syntax(platform).max_form_fields
    options = declare_form(fields).options
    if most is None:
        return [("Change inputs", tuple(option.name for option in options))] if options else []
    # A small form asks for no files: they are attached to the command.
    names = [option.name for option in options if option.kind is not OptionKind.FILE]
    needed = {option.name for option in options if option.is_required}
    names.sort(key=lambda name: name not in needed)
    parts = [tuple(names[start : start + most]) for start in range(0, len(names), most)]
    if len(parts) < 2:
        return [("Change inputs", part) for part in parts]
    return [(f"Inputs {n * most + 1} to {n * most + len(part)}", part) for n, part in enumerate(parts)]


async def draft_run_form(services: Services, user: User, options: Mapping[str, JSON], n: int) -> FormDraft:
    """Return step `n`, from 1, of the form of an open question."""
    target = await services.runs.find(services.catalogue, str(options.get("model")))
    values = read_inputs(target.fields, str(options.get("inputs") or ""), None)
    steps = list_steps(target.fields, user.platform)
    if not 1 <= n <= len(steps):
        raise BadOption("That button belongs to another version of the model. Please ask again.")
    shown, form = show_values(target.fields, values), declare_form(target.fields)
    # A file that the question has already need not be given again.
    fields = tuple(replace(one, is_required=one.is_required and one.name not in values) for one in form.options)
    return FormDraft(
        replace(form, options=fields),
        shown,
        target.model.title,
        # A form cuts a value that it cannot hold: such a value stays as it is.
        option_names=tuple(name for name in steps[n - 1][1] if len(str(shown.get(name, ""))) <= _MAX_FORM_CHARACTERS),
        asks_files=get_platform_syntax(user.platform).max_form_fields is None,
    )


@dataclass(frozen=True, slots=True)
class FilledQuestion:
    """The options and files of a question after its form was filled."""

    options: Mapping[str, str]
    attachments: Mapping[str, Attachment]
    kept: frozenset[str]
    """The names of all files that the inputs still use."""


async def read_run_form(
    services: Services,
    known: Mapping[str, JSON],
    options: Mapping[str, OptionValue],
    attachments: Mapping[str, Attachment],
) -> FilledQuestion:
    """Return a question's options with the submitted changes. Raise `BadOption` with the field."""
    target = await services.runs.find(services.catalogue, str(known.get("model")))
    values = read_inputs(target.fields, str(known.get("inputs") or ""), None)
    for name, value in read_submission(target.fields, options).items():
        values.pop(name, None)
        if value is not None:
            values[name] = value
    taken: dict[str, Attachment] = {}
    for name, files in _group_files(target, attachments):
        values.pop(name, None)
        marks: list[JSON] = []
        for attachment in files:
            mark = take_mark({*list_marks(values), *(f"@{file}" for file in taken)})
            taken[mark.removeprefix("@")] = attachment
            marks.append(mark)
        values[name] = marks if target.model.inputs[name].is_file_list else marks[0]
    kept = frozenset(mark.removeprefix("@") for mark in list_marks(values))
    return FilledQuestion({"model": str(known["model"]), "inputs": dump_inputs(values)}, taken, kept)


def _group_files(target: RunTarget, attachments: Mapping[str, Attachment]) -> Iterator[tuple[str, list[Attachment]]]:
    """Yield each field for files with the submitted files of the field."""
    for name, rule in target.model.inputs.items():
        names = [name_file(name, n) for n in range(rule.max_files)] if rule.is_file else []
        if files := [attachments[file] for file in names if file in attachments]:
            yield name, files
