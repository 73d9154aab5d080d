"""The run of every picture model: seeds, steps in the log, the painter in the worker, files and metrics."""

import asyncio
import secrets

from bot.sandbox.faults import SandboxModelFailed, strip_fault_words
from bot.sandbox.model import SandboxRun
from bot.sandbox.painter.picture import PictureOrder, UnreadablePicture, draw

HONEST_LINE = "Sandbox painter: drawn by rules from the words and the seed, not by an AI model."


async def draw_pictures(
    run: SandboxRun,
    size: tuple[int, int],
    *,
    count: int = 1,
    steps: int,
    seconds: float,
    extension: str = "webp",
    quality: int = 80,
    start: str = "image",
    strength: float = 0.8,
) -> None:
    """Draw `count` pictures of `size` (width, height) in pixels, with seeds counting up from a given or random seed.

    `start` names the input with a picture to begin from; `strength` 1 ignores the picture, 0 returns the picture.
    """
    seed = run.input.get("seed")
    if seed is None:
        seed = secrets.randbelow(2**31)
    run.log(f"Using seed: {seed}")
    run.log(HONEST_LINE)
    prompt = strip_fault_words(run.input.get("prompt", ""))
    picture = await run.read_file(start)
    orders = [
        PictureOrder(prompt, seed + n, size, "jpg" if extension == "jpeg" else extension, quality, picture, strength)
        for n in range(count)
    ]
    drawn = asyncio.gather(*(run.run_in_worker(draw, order) for order in orders))
    try:
        await run.run_steps(steps, seconds)
        contents = await drawn
    except UnreadablePicture as error:
        raise SandboxModelFailed(str(error)) from error
    finally:
        drawn.cancel()
    for order, content in zip(orders, contents, strict=True):
        run.add_file(content, order.extension)
    run.set_metric("image_count", count)
    run.set_metric("image_output_count", count)
