"""Models, predictions and stream events as Replicate writes them."""

from typing import Any

from bot.core.models import Model, OutputKind, Price, Task

TOKEN = "r8_not_a_real_token"
PIN = "7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc"


def make_model(
    output: OutputKind, *, ref: str = "acme/model", version: str = "", prefixes: tuple[str, ...] = ()
) -> Model:
    return Model(
        key="model",
        title="Model",
        task=Task.IMAGINE,
        backend="replicate",
        ref=ref,
        version=version,
        output=output,
        price=Price(),
        max_seconds=60,
        usual_seconds=2.0,
        inputs={},
        strip_prefixes=prefixes,
    )


PAINTER = make_model(OutputKind.PICTURES, ref="black-forest-labs/flux-schnell")
PINNED_PAINTER = make_model(OutputKind.PICTURES, ref="stability-ai/sdxl", version=PIN)
WRITER = make_model(OutputKind.TEXT_STREAM, ref="meta/meta-llama-3-8b-instruct")
CAPTIONER = make_model(OutputKind.TEXT, ref="salesforce/blip", version=PIN, prefixes=("Caption: ", "Answer: "))


def make_prediction(status: str = "succeeded", *, output: Any = None, stream: str = "", **more: Any) -> dict[str, Any]:
    """Return a prediction with the id `p1`."""
    body: dict[str, Any] = {
        "id": "p1",
        "model": "black-forest-labs/flux-schnell",
        "version": "hidden",
        "input": {"prompt": "a fox"},
        "output": output,
        "logs": "",
        "error": None,
        "status": status,
        "data_removed": False,
        "created_at": "2026-11-20T12:00:00.558752983Z",
        "urls": {"get": "https://elsewhere.example/v1/predictions/p1", **({"stream": stream} if stream else {})},
    }
    return body | more


def format_event(name: str, data: str, event_id: str = "") -> bytes:
    lines = [f"event: {name}", *([f"id: {event_id}"] if event_id else []), *(f"data: {x}" for x in data.split("\n"))]
    return ("\n".join(lines) + "\n\n").encode()


DONE = format_event("done", "{}")
