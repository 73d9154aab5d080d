"""First token of llama.cpp's own server to first text of the bot: `python -m benchmarks.own_servers`.

Each round streams an answer straight from the server, as a baseline, then asks the whole bot over the same server: a
database on disk, moderation, holds and the message on a platform without limits. Needs requirements-servers.lock.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import IO, cast

import httpx

from bot.backends.openai.backend import OpenAIBackend
from bot.core.backend import RunEvent, TextDelta
from bot.core.models import Model
from tests.backends.openai.catalogue import BY_TOKENS, make_backend, make_chat_model
from tests.backends.own_bench import OwnBench, open_own_bench
from tests.servers.tiny_model import write_tiny_model

KEY = "sk-benchmark-llama-1"
ROUNDS = 60
WARM_UP_ROUNDS = 5
QUESTION = "Tell me about the fox"


class FirstTokens:
    """Notes the time of the first token of each run, as the backend hands the token to the job."""

    def __init__(self, backend: OpenAIBackend) -> None:
        self.times: list[float] = []
        self._watch = backend.watch
        backend.watch = self._observe  # type: ignore[method-assign]  # the benchmark looks on

    async def _observe(self, model: Model, backend_id: str) -> AsyncGenerator[RunEvent, None]:
        is_first = True
        async for event in self._watch(model, backend_id):
            if is_first and isinstance(event, TextDelta):
                self.times.append(time.monotonic())
                is_first = False
            yield event


async def measure_server(client: httpx.AsyncClient, url: str) -> float:
    """Return the seconds from the request to the first token, without the bot."""
    messages = [{"role": "user", "content": QUESTION}]
    body = {"model": "tiny", "stream": True, "max_tokens": 32, "messages": messages}
    began = time.monotonic()
    async with client.stream("POST", f"{url}/chat/completions", json=body) as response:
        async for line in response.aiter_lines():
            if '"content":"' in line:
                return time.monotonic() - began
    raise RuntimeError("the server gave no token")


async def measure_bot(bench: OwnBench, tokens: FirstTokens) -> tuple[float, float]:
    """Return the seconds from the ask to the first token, and from the token to the first text on the screen."""
    began = time.monotonic()
    await bench.run(f"/chat {QUESTION} --max_tokens 32 --temperature 1")
    shown = next(at for at, reply in zip(bench.last.times, bench.last.history, strict=True) if reply.text)
    return tokens.times[-1] - began, shown - tokens.times[-1]


async def measure(url: str, folder: Path) -> None:
    # The tiny model has a token for each letter: 300 estimated tokens stay below its context of 1,024.
    model = make_chat_model(BY_TOKENS, ref="tiny").replace("= 4096", "= 300")
    catalogue = make_backend(url, key_env="LLAMA_KEY") + model
    changes = {"jobs_per_minute": 1_000, "jobs_at_once": 1_000, "daily_credits": 100_000}
    headers = {"Authorization": f"Bearer {KEY}"}
    async with (
        httpx.AsyncClient(headers=headers, trust_env=False) as client,
        open_own_bench(folder, catalogue, changes=changes) as bench,
    ):
        tokens = FirstTokens(cast(OpenAIBackend, bench.app.backends["home"]))
        direct, to_token, to_text = [], [], []
        for n in range(WARM_UP_ROUNDS + ROUNDS):
            from_server, (from_ask, from_token) = await measure_server(client, url), await measure_bot(bench, tokens)
            if n >= WARM_UP_ROUNDS:
                direct.append(from_server)
                to_token.append(from_ask)
                to_text.append(from_token)
    for name, seconds in (
        ("request → first token, straight from the server", direct),
        ("ask → first token, through the bot", to_token),
        ("first token → first text", to_text),
    ):
        median, late = statistics.median(seconds), statistics.quantiles(seconds, n=20)[-1]
        print(f"{name:50} median {median * 1000:6.1f} ms, 95th percentile {late * 1000:6.1f} ms")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_tiny_model(folder / "tiny.gguf")
        os.environ["LLAMA_KEY"] = KEY
        command = [sys.executable, "-m", "tests.servers.llama_server", str(folder / "tiny.gguf"), KEY]
        with (
            (folder / "log").open("wb") as log,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log) as process,
        ):
            address = cast(IO[bytes], process.stdout).readline().decode().strip()
            try:
                asyncio.run(measure(f"{address}/v1", folder))
            finally:
                process.kill()


if __name__ == "__main__":
    main()
