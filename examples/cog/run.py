"""A small model to begin with: draws posters of coloured waves, without weights and without a graphics card.

Replace `setup` and `run` with your own model. The inputs of `run` become the options of /imagine.
"""

import math
import random
import sys
import tempfile

from cog import BaseRunner, Input, Path
from PIL import Image, ImageDraw

WAVES = 12


class Runner(BaseRunner):
    """Paints each prompt in colours of its own."""

    def setup(self) -> None:
        """Load the model once, when the container starts. A real model reads its weights here."""
        self.font_size = 40

    def run(
        self,
        prompt: str = Input(description="The words on the poster."),
        seed: int = Input(description="The same seed paints the same picture.", default=1, ge=0, le=4294967295),
        width: int = Input(description="Width in pixels.", default=768, ge=64, le=2048),
        height: int = Input(description="Height in pixels.", default=768, ge=64, le=2048),
    ) -> Path:
        """Paint one picture. Lines such as ` 50%|██ | 6/12 [00:01<00:01]` on stderr become progress in the chat."""
        colours = random.Random(f"{prompt}/{seed}")
        picture = Image.new("RGB", (width, height), _pick(colours, 40))
        draw = ImageDraw.Draw(picture)
        for number in range(WAVES):
            _draw_wave(draw, colours, number, width, height)
            done = number + 1
            print(f"{100 * done // WAVES:3}%|{'#' * done:<{WAVES}}| {done}/{WAVES} [00:00<00:00]", file=sys.stderr)
        draw.text((width / 2, height / 12), prompt[:60], fill="white", anchor="mm", font_size=self.font_size)
        with tempfile.NamedTemporaryFile(suffix=".png", delete=False) as file:
            picture.save(file, "PNG")
        return Path(file.name)


def _draw_wave(draw: ImageDraw.ImageDraw, colours: random.Random, number: int, width: int, height: int) -> None:
    base = height * (0.2 + 0.8 * number / WAVES)
    swing, length, phase = height * colours.uniform(0.02, 0.1), colours.uniform(80, 300), colours.uniform(0, 7)
    crest = [(x, base + swing * math.sin(x / length * math.tau + phase)) for x in range(0, width + 8, 8)]
    draw.polygon([*crest, (width, height), (0, height)], fill=_pick(colours, 60 + 12 * number))


def _pick(colours: random.Random, light: int) -> tuple[int, int, int]:
    return (
        min(255, light + colours.randrange(90)),
        min(255, light + colours.randrange(60)),
        min(255, light + colours.randrange(120)),
    )
