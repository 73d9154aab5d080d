"""/edit, /removebg, /restore, /upscale and /caption: change or describe given pictures."""

from dataclasses import replace

from bot.core.backend import InputFile, InputValue
from bot.core.errors import BadOption, UserError
from bot.core.invocations import Attachment, Invocation, Link
from bot.core.limits import MAX_PROMPT_CHARACTERS
from bot.core.models import ASPECTS, OUTPAINTS, Model, Task
from bot.core.replies import Reply
from bot.credits.pricing import estimate_cost
from bot.dispatch.declaration import MAX_PICTURES, Command, MenuEntry, Services, command, models_for, option

NO_OUTPAINT = "none"

USUAL_SCALE = 2.0

READ_TEXT = MenuEntry("picture", "Read text", "Write down the text in a picture.", {"read_text": True})


@command("edit", task=Task.EDIT, contexts={"picture": "Edit"})
class Edit(Command):
    """Change a picture by words, alone or with further pictures as references."""

    prompt: str = option("What should change?", max_length=MAX_PROMPT_CHARACTERS, words=True)
    images: tuple[Attachment | Link, ...] = option("Which picture?", name="image", max_files=MAX_PICTURES)
    mask: Attachment | Link | None = option("A mask of the same size, white where it may change?", default=None)
    outpaint: str = option("Grow the picture on which side?", default=NO_OUTPAINT, choices=(NO_OUTPAINT, *OUTPAINTS))
    model: str = option("Which model should do it?", default="", autocomplete=models_for(Task.EDIT))
    aspect: str | None = option("Which shape?", default=None, choices=ASPECTS)
    seed: int | None = option("Which seed? The same seed gives the same again.", default=None, minimum=0)
    steps: int | None = option("How many steps?", default=None, minimum=1, maximum=100)
    guidance: float | None = option("How closely should it follow the words?", default=None, minimum=0, maximum=100)
    format: str | None = option("Which file format?", default=None, choices=("png", "webp", "jpg"))

    async def answer(self, invocation: Invocation, services: Services) -> Reply | None:
        if self.mask is not None and self.grows:
            raise BadOption("Give a mask or a side to grow on, not both.", option="outpaint")
        model = await services.choose_model(
            invocation.user,
            Task.EDIT,
            self.model,
            required_option="mask" if self.mask else "outpaint" if self.grows else "image",
            # A model with a mask or an outpaint says itself how many pictures it takes.
            file_count=0 if self.mask or self.grows else len(self.images),
        )
        images, given_mask, mask = await self._load_files(model, services)
        options = self._build_options(images, mask)
        # A button gives the mask again, and the model's style is applied again: keep the mask as people give masks.
        stored_options = {**options, "mask": given_mask, "model": model.key}
        await services.jobs.start(invocation, model, options, stored_options=stored_options)
        return None

    @property
    def grows(self) -> bool:
        """Whether the picture shall grow."""
        return self.outpaint != NO_OUTPAINT

    def _build_options(self, images: tuple[InputFile, ...], mask: InputFile | None) -> dict[str, InputValue]:
        return {
            "prompt": self.prompt,
            "image": images,
            "mask": mask,
            "outpaint": self.outpaint if self.grows else None,
            "aspect": self.aspect,
            "seed": self.seed,
            "steps": self.steps,
            "guidance": self.guidance,
            "format": self.format,
        }

    async def _load_files(
        self, model: Model, services: Services
    ) -> tuple[tuple[InputFile, ...], InputFile | None, InputFile | None]:
        """Return the pictures, and the mask as given and in the model's style. A mask belongs to a single picture."""
        media = services.media
        if self.mask is None:
            return await media.load_inputs(self.images, model.inputs.get("image")), None, None
        if len(self.images) > 1:
            raise BadOption("A mask belongs to one picture: give one picture with it.", option="mask")
        image, given_mask, mask = await media.load_masked(self.images[0], self.mask, model.inputs)
        return (image,), given_mask, mask


@command("edit", task=Task.EDIT, contexts={"picture": "Edit"})
class PaintedEdit(Edit):
    """Change a picture by words, alone or with further pictures as references."""

    paint: bool = option("Paint the part that may change? You get a link to a page.", default=False, on_page=False)

    async def answer(self, invocation: Invocation, services: Services) -> Reply | None:
        if not self.paint:
            return await Edit.answer(self, invocation, services)
        services.paint_links.check(invocation)
        if self.mask is not None or self.grows or len(self.images) > 1:
            raise BadOption("Paint on one picture, without a mask of your own and without outpaint.", option="paint")
        model = await services.choose_model(invocation.user, Task.EDIT, self.model, required_option="mask")
        images = await services.media.load_inputs(self.images, model.inputs.get("image"))
        try:
            # The picture stands in for the mask, which has the same size.
            inputs = services.catalogue.build_inputs(model, self._build_options(images, images[0]))
            estimate = estimate_cost(model, inputs)
            price = services.credits.formatter.format_estimate(estimate)
            reply = await services.paint_links.offer(
                replace(invocation, options={**invocation.options, "model": model.key}),
                images[0],
                model.title,
                price,
                estimate.max_micros,
            )
        except UserError:
            services.media.release(images)
            raise
        services.media.claim(images)
        return reply


@command("removebg", task=Task.REMOVE_BACKGROUND, contexts={"picture": "Remove background"})
class RemoveBackground(Command):
    """Make the background of a picture transparent."""

    image: Attachment | Link = option("Which picture?")
    model: str = option("Which model should do it?", default="", autocomplete=models_for(Task.REMOVE_BACKGROUND))

    async def answer(self, invocation: Invocation, services: Services) -> None:
        model = await services.choose_model(invocation.user, Task.REMOVE_BACKGROUND, self.model)
        options: dict[str, InputValue] = {
            "image": await services.media.load_input(self.image, model.inputs.get("image"))
        }
        await services.jobs.start(invocation, model, options, stored_options={**options, "model": model.key})


@command("restore", task=Task.RESTORE, contexts={"picture": "Restore"})
class Restore(Command):
    """Mend the faces of an old or small photo."""

    image: Attachment | Link = option("Which picture?")
    scale: float | None = option("How many times larger each way?", default=None, minimum=1, maximum=4)
    model: str = option("Which model should do it?", default="", autocomplete=models_for(Task.RESTORE))

    async def answer(self, invocation: Invocation, services: Services) -> None:
        model = await services.choose_model(invocation.user, Task.RESTORE, self.model)
        options: dict[str, InputValue] = {
            "image": await services.media.load_input(self.image, model.inputs.get("image")),
            "scale": self.scale,
        }
        await services.jobs.start(invocation, model, options, stored_options={**options, "model": model.key})


@command("upscale", task=Task.UPSCALE, contexts={"picture": "Upscale"})
class Upscale(Command):
    """Make a picture larger."""

    image: Attachment | Link = option("Which picture?")
    scale: float = option("How many times larger each way?", default=USUAL_SCALE, minimum=1, maximum=10)
    face_enhance: bool = option("Mend faces?", default=False)
    model: str = option("Which model should do it?", default="", autocomplete=models_for(Task.UPSCALE))

    async def answer(self, invocation: Invocation, services: Services) -> None:
        model = await services.choose_model(invocation.user, Task.UPSCALE, self.model)
        options: dict[str, InputValue] = {
            "image": await services.media.load_input(self.image, model.inputs.get("image")),
            # A model without a scale chooses the scale itself: leave the usual scale out, and name any other.
            "scale": self.scale if self.scale != USUAL_SCALE or "scale" in model.inputs else None,
            "face_enhance": self.face_enhance or None,
        }
        await services.jobs.start(invocation, model, options, stored_options={**options, "model": model.key})


@command("caption", task=Task.CAPTION, contexts={"picture": "Caption"}, menu_entries=(READ_TEXT,))
class CaptionPicture(Command):
    """Say what a picture shows, answer a question about it, or read the text in it."""

    image: Attachment | Link = option("Which picture?")
    question: str | None = option("What do you want to know about it?", default=None, max_length=500, words=True)
    read_text: bool = option("Write down the text in it instead?", default=False)
    model: str = option("Which model should look?", default="", autocomplete=models_for(Task.CAPTION))

    async def answer(self, invocation: Invocation, services: Services) -> None:
        if self.read_text and self.question:
            raise BadOption("Ask a question, or have the text read: not both at once.", option="read_text")
        model = await services.choose_model(
            invocation.user, Task.CAPTION, self.model, required_option="read_text" if self.read_text else ""
        )
        options: dict[str, InputValue] = {
            "image": await services.media.load_input(self.image, model.inputs.get("image")),
            "question": self.question,
            "read_text": self.read_text or None,
        }
        await services.jobs.start(invocation, model, options, stored_options={**options, "model": model.key})
