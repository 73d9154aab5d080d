"""A model of words for the tests: says its prompt word by word, at a pace."""

import time

from cog import BaseRunner, ConcatenateIterator, Input, streaming


class Writer(BaseRunner):
    """Streams; the word `fail` fails, `die` ends the worker's process."""

    @streaming
    def run(
        self,
        prompt: str = Input(description="The words to say."),
        pause: float = Input(description="Seconds between words.", default=0.0, ge=0, le=5),
    ) -> ConcatenateIterator[str]:
        for number, word in enumerate(prompt.split(" ")):
            if word == "fail":
                raise RuntimeError("CUDA out of memory")
            yield word if number == 0 else f" {word}"
            until = time.monotonic() + pause
            while time.monotonic() < until:
                time.sleep(0.02)  # a cancel does not end a sleep
        self.record_metric("token_output_count", len(prompt.split(" ")))
