"""A model of pictures for the tests: one colour from a seed, slowly or not, with progress like tqdm's."""

import contextlib
import io
import sys
import tempfile
import time
from collections.abc import Iterator

from cog import BaseRunner, Input, Path
from PIL import Image

_STEPS = 4
_HANG_SECONDS = 50


class Painter(BaseRunner):
    """Paints, sleeps and fails as the inputs say."""

    def run(
        self,
        prompt: str = Input(description="What to paint; 'fail: REASON' fails, 'hang' takes long."),
        seed: int = Input(description="Picks the colour.", default=1, ge=0, le=4_000_000_000),
        count: int = Input(description="How many pictures.", default=1, ge=1, le=4),
        seconds: float = Input(description="How long to paint.", default=0.0, ge=0, le=60),
        image: Path | None = Input(description="A picture to start from.", default=None),
    ) -> list[Path]:
        with _log_run(prompt, image):
            if prompt.startswith("fail:"):
                raise RuntimeError(prompt.removeprefix("fail:").strip())
            _work(_HANG_SECONDS if prompt.startswith("hang") else seconds)
            if image is not None:
                with Image.open(image) as given:
                    return [_save(given.convert("RGB").rotate(90 * number)) for number in range(count)]
            colour = (seed % 256, seed // 256 % 256, 128)
            return [_save(Image.new("RGB", (64 + number, 64), colour)) for number in range(count)]


@contextlib.contextmanager
def _log_run(prompt: str, image: Path | None) -> Iterator[None]:
    """Write a line at the begin and at the end of a run, for the test to count."""
    with open("runs.log", "a", encoding="utf-8") as log:
        print("begin", prompt, "with a picture" if image else "", file=log, flush=True)
        try:
            yield
        finally:
            print("end", prompt, file=log, flush=True)


def _work(seconds: float) -> None:
    """Take as long as wished, with progress."""
    for step in range(1, _STEPS + 1):
        _sleep(seconds / _STEPS)
        print(f"{100 * step // _STEPS}%|####      | {step}/{_STEPS} [00:01<00:00]", file=sys.stderr, flush=True)


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
