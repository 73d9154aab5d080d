"""salesforce/blip and andreasjansson/blip-2, performed by a measurer that counts pixels and recognises nothing.

The measured facts of a picture: size, light, colours, texture, and the notes in its metadata."""

import colorsys
import re
from collections import Counter
from typing import TYPE_CHECKING

from bot.sandbox.faults import SandboxModelFailed, strip_fault_words
from bot.sandbox.input_files import UnreadablePicture, open_picture
from bot.sandbox.model import InputField, SandboxModel, SandboxOutputKind, SandboxRun

if TYPE_CHECKING:
    from PIL.Image import Image


__all__ = ["UnreadablePicture", "answer_question", "describe_picture"]

_PREFIX = "Measured, not recognised:"
_EXIF_MODEL, _EXIF_DATE, _EXIF_DESCRIPTION, _EXIF_GPS = 0x0110, 0x0132, 0x010E, 0x8825
# The names of saturated colours by their upper hue, in degrees.
_HUES = (
    (14, "red"),
    (42, "orange"),
    (68, "yellow"),
    (165, "green"),
    (192, "teal"),
    (255, "blue"),
    (290, "violet"),
    (335, "pink"),
    (360, "red"),
)
_TOPICS = {
    "size": re.compile(r"\b(size|big|large|wide|high|tall|dimensions?|resolution|pixels?|format|megapixels?)\b"),
    "colours": re.compile(r"\b(colou?rs?|hues?|palette|red|green|blue|yellow|orange)\b"),
    "light": re.compile(r"\b(bright(ness)?|dark|light|night|day|contrast|exposure)\b"),
    "texture": re.compile(r"\b(sharp|blurry|blurred|texture|detail(ed)?|smooth|noisy|busy)\b"),
    "notes": re.compile(r"\b(prompt|seed|camera|gps|location|where|when|date|who|made|metadata|exif)\b"),
}


def describe_picture(content: bytes) -> str:
    """Return one line with every fact. Raise UnreadablePicture."""
    return f"{_PREFIX} {'; '.join(fact for fact in _measure_facts(content).values() if fact)}."


def answer_question(content: bytes, question: str) -> str:
    """Return the facts of a question; all facts for a question about uncountable things."""
    facts = _measure_facts(content)
    words = question.lower()
    answers = [facts[topic] for topic, pattern in _TOPICS.items() if pattern.search(words) and facts[topic]]
    if not answers and re.search(r"\bdescribe\b", words):
        return describe_picture(content)
    if not answers:
        return f"{_PREFIX} the sandbox cannot see what is shown, only count; {'; '.join(filter(None, facts.values()))}."
    return f"{_PREFIX} {'; '.join(answers)}."


def _measure_facts(content: bytes) -> dict[str, str]:
    picture = open_picture(content)
    small = picture.convert("RGB").resize((64, 64))
    return {
        "size": _describe_size(picture),
        "light": _describe_light(small),
        "colours": _describe_colours(small),
        "texture": _describe_texture(picture),
        "notes": _describe_metadata(picture),
    }


def _describe_size(picture: "Image") -> str:
    width, height = picture.size
    shape = "square" if width == height else "landscape" if width > height else "portrait"
    return f"a {shape} {picture.format} picture of {width} × {height} pixels"


def _describe_light(small: "Image") -> str:
    from PIL import ImageStat

    light = ImageStat.Stat(small.convert("L"))
    share = round(light.mean[0] / 2.55)
    tone = "dark" if share < 30 else "bright" if share > 65 else "of middle brightness"
    contrast = "low" if light.stddev[0] < 30 else "high" if light.stddev[0] > 65 else "medium"
    return f"{tone} ({share} %), {contrast} contrast"


def _describe_colours(small: "Image") -> str:
    counts = Counter[str]()
    for count, pixel in small.quantize(24).convert("RGB").getcolors(64 * 64) or []:
        if isinstance(pixel, tuple):
            counts[_name_colour(pixel[0], pixel[1], pixel[2])] += count
    total = counts.total()
    named = [f"{name} {round(100 * count / total)} %" for name, count in counts.most_common(3) if count * 20 > total]
    return "mostly " + ", ".join(named)


def _name_colour(red: float, green: float, blue: float) -> str:
    hue, light, saturation = colorsys.rgb_to_hls(red / 255, green / 255, blue / 255)
    if light < 0.12:
        return "black"
    if light > 0.93:
        return "white"
    if saturation < 0.12:
        return "grey" if light < 0.75 else "light grey"
    name = next(name for limit, name in _HUES if hue * 360 <= limit)
    if name == "orange" and light < 0.4:
        return "brown"
    return f"dark {name}" if light < 0.3 else f"light {name}" if light > 0.72 else name


def _describe_texture(picture: "Image") -> str:
    from PIL import ImageFilter, ImageStat

    sample = picture.convert("L")
    sample.thumbnail((512, 512))
    # The frame of the filtered picture is an artefact, not an edge.
    edges = sample.filter(ImageFilter.FIND_EDGES).crop((1, 1, max(2, sample.width - 1), max(2, sample.height - 1)))
    strength = ImageStat.Stat(edges).mean[0]
    return "smooth surfaces" if strength < 6 else "fine detail all over" if strength > 28 else "some detail"


def _describe_metadata(picture: "Image") -> str:
    """Return the file's metadata: our prompt and seed, camera, date; a warning about a location."""
    exif = picture.getexif()
    comment = str(picture.info.get("Comment") or exif.get(_EXIF_DESCRIPTION) or "")[:300]
    facts = [f"its own note says “{_join_lines(comment)}”"] if comment else []
    if camera := exif.get(_EXIF_MODEL):
        facts.append(f"camera {_join_lines(str(camera)[:60])}")
    if date := exif.get(_EXIF_DATE):
        facts.append(f"dated {_join_lines(str(date)[:20])}")
    if _EXIF_GPS in exif:
        facts.append("it carries the GPS position where it was taken")
    return "; ".join(facts)


def _join_lines(text: str) -> str:
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


_TASKS = ("image_captioning", "visual_question_answering", "image_text_matching")
_DESCRIPTION = "Sandbox: measured facts about a picture, in the place of a vision model."


async def _run_blip(run: SandboxRun) -> None:
    task = run.input.get("task", "image_captioning")
    if task == "visual_question_answering":
        question = run.input.get("question", "")
        if not question:
            raise SandboxModelFailed("Please type a question for visual question answering.")
        run.text = f"Answer: {await measure(run, question)}"
    elif task == "image_text_matching":
        if not run.input.get("caption"):
            raise SandboxModelFailed("Please type a caption for image text matching.")
        run.text = f"Measured, not recognised: the sandbox cannot match texts. {await measure(run)}"
    else:
        run.text = f"Caption: {await measure(run)}"


async def _run_blip_2(run: SandboxRun) -> None:
    is_caption = run.input.get("caption", False)
    run.text = await measure(run, "" if is_caption else run.input.get("question", "What is this a picture of?"))


async def measure(run: SandboxRun, question: str = "") -> str:
    """Return measured facts about the picture of a run, or an answer made of such facts."""
    picture = await run.read_file("image")
    if picture is None:
        raise SandboxModelFailed("Input validation error: image is required")
    run.log("Sandbox measurer: counts pixels by rules, not an AI model; it recognises nothing.")
    await run.pause(0.8)
    question = strip_fault_words(question)
    try:
        return await (
            run.run_in_worker(answer_question, picture, question)
            if question
            else run.run_in_worker(describe_picture, picture)
        )
    except UnreadablePicture as error:
        raise SandboxModelFailed(str(error)) from error


_IMAGE = InputField("image", "file", "Input image", required=True)

BLIP = SandboxModel(
    owner="salesforce",
    name="blip",
    version="2e1dddc8621f72155f24cf2e0adbde548458d3cab9f00c0139eea840d0ac4746",
    description=_DESCRIPTION,
    fields=(
        _IMAGE,
        InputField("task", "string", "Choose a task.", default="image_captioning", choices=_TASKS),
        InputField("question", "string", "Type question for the input image for visual question answering task."),
        InputField("caption", "string", "Type caption for the input image for image text matching task."),
    ),
    output=SandboxOutputKind.TEXT,
    perform=_run_blip,
)

BLIP_2 = SandboxModel(
    owner="andreasjansson",
    name="blip-2",
    version="f677695e5e89f8b236e52ecd1d3f01beb44c34606419bcc19345e046d8f786f9",
    description=_DESCRIPTION,
    fields=(
        _IMAGE,
        InputField("caption", "boolean", "Select if you want to generate image captions", default=False),
        InputField("question", "string", "Question to ask about this image.", default="What is this a picture of?"),
        InputField("context", "string", "Previous questions and answers to be used as context"),
        InputField("use_nucleus_sampling", "boolean", "Toggles the model using nucleus sampling", default=False),
        InputField(
            "temperature", "number", "Temperature for use with nucleus sampling", default=1, minimum=0.5, maximum=1
        ),
    ),
    output=SandboxOutputKind.TEXT,
    perform=_run_blip_2,
)
