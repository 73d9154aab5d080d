"""A model of pictures for the tests: one colour from a seed, slowly or not, with progress like tqdm's."""

import io
import sys
import tempfile
import time

from cog import BaseRunner, Input, Path
from PIL import Image

_STEPS = 4


class Painter(BaseRunner):
    """Paints, sleeps and fails as the inputs say."""

    def run(
        self,
        prompt: str = Input(description="What to paint; 'fail: REASON' fails."),
        seed: int = Input(description="Picks the colour.", default=1, ge=0, le=4_000_000_000),
        count: int = Input(description="How many pictures.", default=1, ge=1, le=4),
        seconds: float = Input(description="How long to paint.", default=0.0, ge=0, le=60),
        image: Path | None = Input(description="A picture to start from.", default=None),
    ) -> list[Path]:
        if prompt.startswith("fail:"):
            raise RuntimeError(prompt.removeprefix("fail:").strip())
        for step in range(1, _STEPS + 1):
            _sleep(seconds / _STEPS)
            print(f"{100 * step // _STEPS}%|####      | {step}/{_STEPS} [00:01<00:00]", file=sys.stderr, flush=True)
        if image is not None:
            with Image.open(image) as given:
                return [_save(given.convert("RGB").rotate(90 * number)) for number in range(count)]
        colour = (seed % 256, seed // 256 % 256, 128)
        return [_save(Image.new("RGB", (64 + number, 64), colour)) for number in range(count)]


def _sleep(seconds: float) -> None:
    # A cancel ends a model between two steps of Python, not within a sleep.
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.02)


def _save(picture: Image.Image) -> Path:
    content = io.BytesIO()
    picture.save(content, "PNG")
    with tempfile.NamedTemporaryFile(suffix=".png", delete=False) as file:
        file.write(content.getvalue())
    return Path(file.name)
