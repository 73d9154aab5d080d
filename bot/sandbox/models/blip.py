"""salesforce/blip and andreasjansson/blip-2: performed by the measurer, which counts pixels and recognises nothing."""

from bot.sandbox.failures import SandboxModelFailed
from bot.sandbox.faults import strip_fault_words
from bot.sandbox.fields import InputField
from bot.sandbox.measurer import UnreadablePicture, answer_question, describe_picture
from bot.sandbox.model import SandboxModel, SandboxOutputKind
from bot.sandbox.run import SandboxRun

_TASKS = ("image_captioning", "visual_question_answering", "image_text_matching")
_DESCRIPTION = "Sandbox: measured facts about a picture, in the place of a vision model."


async def _blip(run: SandboxRun) -> None:
    task = run.input.get("task", "image_captioning")
    if task == "visual_question_answering":
        question = run.input.get("question", "")
        if not question:
            raise SandboxModelFailed("Please type a question for visual question answering.")
        run.text = f"Answer: {await _measure(run, question)}"
    elif task == "image_text_matching":
        if not run.input.get("caption"):
            raise SandboxModelFailed("Please type a caption for image text matching.")
        run.text = f"Measured, not recognised: the sandbox cannot match texts. {await _measure(run)}"
    else:
        run.text = f"Caption: {await _measure(run)}"


async def _blip_2(run: SandboxRun) -> None:
    is_caption = run.input.get("caption", False)
    run.text = await _measure(run, "" if is_caption else run.input.get("question", "What is this a picture of?"))


async def _measure(run: SandboxRun, question: str = "") -> str:
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
    perform=_blip,
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
    perform=_blip_2,
)
