"""The stand-in refuses what a ComfyUI server refuses, and notes what would harm its other clients."""

import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.emulators.comfyui.catalogue import EXAMPLES
from tests.emulators.comfyui.emulator import ComfyUIEmulator

GRAPH: dict[str, Any] = json.loads((EXAMPLES / "text-to-picture.json").read_text())


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ComfyUIEmulator]:
    async with ComfyUIEmulator(tmp_path) as server:
        yield server


async def post(server: ComfyUIEmulator, path: str, body: object) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as http, http.post(server.url + path, json=body) as response:
        return response.status, await response.json() if response.content_type == "application/json" else None


def change(node: str, **inputs: object) -> dict[str, Any]:
    """Return the example with other inputs of one node."""
    return {**GRAPH, node: {**GRAPH[node], "inputs": {**GRAPH[node]["inputs"], **inputs}}}


@pytest.mark.parametrize(
    ("prompt_id", "graph", "error", "node_error"),
    [
        ("ABCDEF01-2345-4678-9ABC-DEF012345678", GRAPH, "invalid_prompt_id", ""),
        ("7", GRAPH, "invalid_prompt_id", ""),
        ("", {"1": {"class_type": "Nothing", "inputs": {}}}, "missing_node_type", ""),
        ("", {"4": GRAPH["4"]}, "prompt_no_outputs", ""),
        ("", change("4", ckpt_name="x.safetensors"), "prompt_outputs_failed_validation", "value_not_in_list"),
        ("", change("3", steps=0), "prompt_outputs_failed_validation", "value_smaller_than_min"),
        ("", change("3", model=["9", 0]), "prompt_outputs_failed_validation", "return_type_mismatch"),
        ("", change("3", model=["99", 0]), "prompt_outputs_failed_validation", "bad_linked_input"),
        ("", change("5", width="wide"), "prompt_outputs_failed_validation", "invalid_input_type"),
    ],
)
async def test_a_bad_prompt_is_refused(
    server: ComfyUIEmulator, prompt_id: str, graph: dict[str, Any], error: str, node_error: str
) -> None:
    body = {"prompt": graph, "prompt_id": prompt_id or str(uuid.uuid4()), "client_id": "c"}

    status, answer = await post(server, "/prompt", body)

    assert (status, answer["error"]["type"]) == (400, error)
    assert not node_error or node_error in str(answer["node_errors"])
    assert server.runs.started == []


async def test_what_harms_other_clients_is_noted(server: ComfyUIEmulator) -> None:
    stranger = server.add_stranger()
    body = {"prompt": GRAPH, "prompt_id": stranger, "front": True}

    for path, content in (
        ("/prompt", body),
        ("/interrupt", {}),
        ("/queue", {"clear": True}),
        ("/api/history", {"clear": True}),
    ):
        await post(server, path, content)

    assert [sentence.partition(":")[0] for sentence in server.violations] == [
        "A prompt came without client_id",
        "A prompt jumped the queue.",
        f"The id {stranger} was sent twice",
        "An interrupt without an id stopped the run of another client.",
        "The whole queue was cleared, with the runs of others.",
        "The whole history was cleared, with the runs of others.",
    ]
