"""Finding models: the sorted list, both searches, collections, examples and readmes."""

from typing import Any

import pytest

from tests.sandbox.conftest import SandboxClient
from tests.sandbox.test_predictions import LLAMA, SCHNELL
from tests.sandbox.test_trainings import own_model


def names(pages: list[dict[str, Any]]) -> list[str]:
    return [f"{page['owner']}/{page['name']}" for page in pages]


async def read_pages(client: SandboxClient, **params: str) -> list[list[str]]:
    reply = await client.request("GET", "/v1/models", params=params)
    pages = [names(reply.body["results"])]
    while reply.body["next"]:
        reply = await client.request("GET", reply.body["next"])
        pages.append(names(reply.body["results"]))
    return pages


async def test_a_search_ranks_models_and_finds_collections(client: SandboxClient) -> None:
    reply = await client.request("GET", "/v1/search", params={"query": "flux schnell"})
    upscalers = await client.request("GET", "/v1/search", params={"query": "upscale"})

    assert reply.body["query"] == "flux schnell"
    assert names([entry["model"] for entry in reply.body["models"]])[0] == SCHNELL
    assert reply.body["models"][0]["metadata"]["score"] == 1.0
    assert "text-to-image" in reply.body["models"][0]["metadata"]["tags"]
    assert [entry["slug"] for entry in upscalers.body["collections"]] == ["super-resolution"]
    assert upscalers.body["collections"][0]["models"] == ["nightmareai/real-esrgan"]


@pytest.mark.parametrize(
    ("query", "status"),
    [({}, 400), ({"query": "fox", "limit": "0"}, 400), ({"query": "fox", "limit": "51"}, 400), ({"query": "fox"}, 200)],
)
async def test_a_search_needs_words_and_a_sensible_limit(
    client: SandboxClient, query: dict[str, str], status: int
) -> None:
    reply = await client.request("GET", "/v1/search", params=query)

    assert reply.status == status


async def test_a_limit_limits(client: SandboxClient) -> None:
    reply = await client.request("GET", "/v1/search", params={"query": "sandbox", "limit": "2"})

    assert len(reply.body["models"]) == 2


async def test_a_query_request_searches_by_its_body(client: SandboxClient) -> None:
    reply = await client.request("QUERY", "/v1/models", data="llama", headers={"Content-Type": "text/plain"})

    assert reply.status == 200
    others = ["meta/meta-llama-3-70b-instruct", "meta/meta-llama-3.1-405b-instruct", "meta/llama-4-scout-instruct"]
    assert names(reply.body["results"]) == [LLAMA, *others]


async def test_models_can_be_sorted_both_ways(client: SandboxClient) -> None:
    async def listed(**query: str) -> list[str]:
        return [name for page in await read_pages(client, **query) for name in page]

    await own_model(client, "newest", "public")

    usual = await listed()
    assert usual[0] == "sandbox/newest"
    assert await listed(sort_direction="asc") == usual[::-1]
    assert await listed(sort_by="model_created_at", sort_direction="desc") == usual
    assert (await client.request("GET", "/v1/models", params={"sort_by": "fame"})).status == 400


async def test_long_lists_of_models_are_paged(client: SandboxClient) -> None:
    built_in = [name for page in await read_pages(client) for name in page]
    for number in range(105):
        await own_model(client, f"m{number}", "public")

    pages = await read_pages(client, sort_direction="asc")

    assert [len(page) for page in pages[:-1]] == [100] * (len(pages) - 1)
    listed = [name for page in pages for name in page]
    assert len(listed) == len(set(listed)) == len(built_in) + 105 > 200
    assert listed[-1] == "sandbox/m104"


async def test_the_official_collection_holds_the_official_models(client: SandboxClient) -> None:
    listed = await client.request("GET", "/v1/collections")
    official = await client.request("GET", "/v1/collections/official")
    unknown = await client.request("GET", "/v1/collections/nope")

    assert "official" in {entry["slug"] for entry in listed.body["results"]}
    assert SCHNELL in names(official.body["models"])
    assert all(page["is_official"] for page in official.body["models"])
    assert unknown.status == 404


async def test_examples_are_the_latest_good_runs(client: SandboxClient) -> None:
    good = await client.run(SCHNELL, {"prompt": "a fox", "megapixels": "0.25"})
    await client.run(SCHNELL, {"prompt": "fault:fail"})

    examples = await client.request("GET", f"/v1/models/{SCHNELL}/examples")

    assert [entry["id"] for entry in examples.body["results"]] == [good["id"]]


async def test_a_readme_says_that_it_is_the_sandbox(client: SandboxClient) -> None:
    reply = await client.request("GET", f"/v1/models/{SCHNELL}/readme")

    assert reply.headers["content-type"].startswith("text/plain")
    assert b"Sandbox" in reply.content
