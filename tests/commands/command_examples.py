"""The smallest valid input of each command in the menu, for the tests of all commands.

An example has the command's required options; `EXAMPLES` adds options and preparations of some commands.
`ANA`, `OTTO`, `GOLD` and `STUDIO` stand for a person, the owner, a role and a channel; each platform's test replaces
them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bot.core.file_types import MediaKind
from bot.dispatch.declaration import Declaration, Option, OptionKind, OptionValue
from tests.fakes.backend import make_png
from tests.media.pictures import make_recipe_picture
from tests.media.recordings import make_wav
from tests.media.zips import make_picture_zip

ANA, OTTO, GOLD, STUDIO = "@ana", "@otto", "@gold", "#studio"

Options = Mapping[str, OptionValue]

_VALUES: Mapping[OptionKind, OptionValue] = {
    OptionKind.TEXT: "a fox",
    OptionKind.INTEGER: 5,
    OptionKind.NUMBER: 5.0,
    OptionKind.FLAG: True,
    OptionKind.PERSON: ANA,
    OptionKind.ROLE: GOLD,
    OptionKind.CHANNEL: STUDIO,
}


@dataclass(frozen=True)
class CommandExample:
    """Options of a command, and commands to run earlier: `(name, options)` in order."""

    options: Options = field(default_factory=dict)
    before: tuple[tuple[str, Options], ...] = ()
    needs_running_job: bool = False


PRESET: tuple[str, Options] = ("preset save", {"name": "ours", "count": 2})

# Options beyond the required ones, and preparations. Keep the owner's own channel open and "a fox" allowed: the
# platforms' tests run the whole menu in one workspace.
EXAMPLES: Mapping[str, CommandExample] = {
    "cancel": CommandExample(needs_running_job=True),
    "pause": CommandExample({"what": "sdxl"}),
    "quota take": CommandExample(before=(("quota grant", {"user": ANA, "credits": 5.0}),)),
    "quota set": CommandExample({"day": 5.0}),
    "quota role set": CommandExample({"day": 5.0}),
    "quota role show": CommandExample(before=(("quota role set", {"role": GOLD, "day": 5.0}),)),
    "quota role clear": CommandExample(before=(("quota role set", {"role": GOLD, "day": 5.0}),)),
    "quota channel set": CommandExample({"channel": STUDIO, "models": "sdxl"}),
    "quota channel clear": CommandExample(
        {"channel": STUDIO}, before=(("quota channel set", {"channel": STUDIO, "models": "sdxl"}),)
    ),
    "settings channel": CommandExample({"allowed": False}),
    "settings chat": CommandExample({"join": "starter"}),
    "settings pictures": CommandExample({"reuse": False}),
    "run": CommandExample({"model": "flux-schnell", "inputs": "a fox"}),
    "feedback give": CommandExample({"vote": "up"}, before=(("chat", {"message": "hello"}),)),
    "model show": CommandExample({"model": "flux-schnell"}),
    "model versions": CommandExample({"model": "flux-schnell"}),
    "model add": CommandExample({"model": "owner/painter"}),
    "preset save": CommandExample({"name": "ours", "model": "flux-schnell"}),
    "preset show": CommandExample({"name": "ours"}, before=(PRESET,)),
    "preset remove": CommandExample({"name": "ours"}, before=(PRESET,)),
    "preset share": CommandExample({"name": "ours"}, before=(PRESET,)),
    "preset unshare": CommandExample({"name": "ours"}, before=(PRESET, ("preset share", {"name": "ours"}))),
    "settings run": CommandExample({"models": "approved"}),
    "settings webhook": CommandExample({"url": "off"}),
    "settings general": CommandExample({"keep_days": 5}),
    # The bound of a training is above a person's usual credits of a day.
    "train": CommandExample({"name": "our-style"}, before=(("quota grant", {"user": OTTO, "credits": 5_000.0}),)),
    "deployments create": CommandExample({"name": "fast", "model": "owner/painter", "hardware": "gpu-t4"}),
    "deployments scale": CommandExample({"name": "fast", "min": 1}),
    "video": CommandExample({"prompt": "a fox runs", "duration": 1, "quality": "draft"}),
    "undo": CommandExample(before=(("imagine", {"prompt": "a fox"}), ("edit", {"prompt": "in the snow"}))),
    "unblock": CommandExample(before=(("block", {"user": ANA}),)),
    "words add": CommandExample({"word": "badger"}),
    "words remove": CommandExample({"word": "hedgehog"}, before=(("words add", {"word": "hedgehog"}),)),
}


def get_example(declaration: Declaration) -> CommandExample:
    """Return a command's example: the required options except files, overridden by `EXAMPLES`."""
    required = {
        option.name: _pick_value(option)
        for option in declaration.options
        if option.is_required and option.kind is not OptionKind.FILE
    }
    special = EXAMPLES.get(declaration.name, CommandExample())
    return replace(special, options={**required, **special.options})


def make_required_files(declaration: Declaration) -> dict[str, bytes]:
    """Return a small file for each required option for a file, of the option's first kind.

    A training gets a zip, /recipe a picture with a recipe.
    """
    if declaration.name == "train":
        return {"file": make_picture_zip()}
    if declaration.name == "recipe":
        return {"image": make_recipe_picture()}
    return {
        option.name: make_wav() if MediaKind.AUDIO in option.media else make_png()
        for option in declaration.options
        if option.is_required and option.kind is OptionKind.FILE
    }


def _pick_value(option: Option) -> OptionValue:
    return option.choices[0] if option.choices else _VALUES[option.kind]
