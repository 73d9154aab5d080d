"""The models' pages and schemas, models of the account, and the account routes."""

from typing import Any

from tests.sandbox.conftest import SandboxClient
from tests.sandbox.exchange_recorder import check_response
from tests.sandbox.test_predictions import BLIP, LLAMA, SCHNELL, SDXL
from tests.sandbox.test_trainings import INPUT, ROUTE, own_model, train, wait_until_finished


async def test_every_model_is_listed_with_a_schema(client: SandboxClient) -> None:
    listed = await client.request("GET", "/v1/models")

    check_response("get", "/models", 200, listed.body)
    names = [f"{model['owner']}/{model['name']}" for model in listed.body["results"]]
    assert names[:26] == [
        SCHNELL,
        "black-forest-labs/flux-dev",
        "black-forest-labs/flux-1.1-pro",
        "stability-ai/sdxl",
        "prunaai/p-image-edit",
        "black-forest-labs/flux-kontext-pro",
        "stability-ai/stable-diffusion-inpainting",
        "jagilley/controlnet-canny",
        "cjwbw/rembg",
        "tencentarc/gfpgan",
        "nightmareai/real-esrgan",
        LLAMA,
        "meta/meta-llama-3-70b-instruct",
        "meta/meta-llama-3.1-405b-instruct",
        *("openai/gpt-5-nano", "openai/gpt-5-mini", "openai/gpt-5"),
        *("anthropic/claude-4.5-haiku", "anthropic/claude-4.5-sonnet"),
        *("google/gemini-2.5-flash", "google/gemini-3-pro"),
        *("deepseek-ai/deepseek-v3.1", "qwen/qwen3-235b-a22b-instruct-2507", "meta/llama-4-scout-instruct"),
        *("openai/gpt-oss-20b", "openai/gpt-oss-120b"),
    ]
    assert {"salesforce/blip", "andreasjansson/blip-2", "google/nano-banana-2", "openai/gpt-image-2"} < set(names)


async def test_a_schema_has_orders_enums_by_reference_and_float_bounds(client: SandboxClient) -> None:
    model = (await client.request("GET", f"/v1/models/{SCHNELL}")).body
    schemas = model["latest_version"]["openapi_schema"]["components"]["schemas"]
    properties = schemas["Input"]["properties"]

    check_response("get", "/models/{model_owner}/{model_name}", 200, model)
    assert model["is_official"] is True
    assert schemas["Input"]["required"] == ["prompt"]
    assert properties["aspect_ratio"]["allOf"] == [{"$ref": "#/components/schemas/aspect_ratio"}]
    assert "21:9" in schemas["aspect_ratio"]["enum"]
    assert repr(properties["num_outputs"]["maximum"]) == "4.0"
    assert sorted(entry["x-order"] for entry in properties.values()) == list(range(len(properties)))


async def test_outputs_are_declared_by_kind(client: SandboxClient) -> None:
    async def output(name: str) -> Any:
        model = (await client.request("GET", f"/v1/models/{name}")).body
        return model["latest_version"]["openapi_schema"]["components"]["schemas"]["Output"]

    assert (await output(LLAMA))["x-cog-array-type"] == "iterator"
    assert (await output(SCHNELL))["items"]["format"] == "uri"
    assert (await output("nightmareai/real-esrgan"))["format"] == "uri"
    assert (await output("salesforce/blip")) == {"title": "Output", "type": "string"}


async def test_versions_are_listed_and_found_by_id(client: SandboxClient) -> None:
    name, _, version = SDXL.partition(":")

    listed = await client.request("GET", f"/v1/models/{name}/versions")
    one = await client.request("GET", f"/v1/models/{name}/versions/{version}")
    other = await client.request("GET", f"/v1/models/{name}/versions/{BLIP.partition(':')[2]}")

    check_response("get", "/models/{model_owner}/{model_name}/versions", 200, listed.body)
    check_response("get", "/models/{model_owner}/{model_name}/versions/{version_id}", 200, one.body)
    assert listed.body["results"] == [one.body]
    assert other.status == 404


async def test_account_hardware_and_webhook_secret_answer(client: SandboxClient) -> None:
    for path in ("/account", "/hardware", "/webhooks/default/secret"):
        reply = await client.request("GET", f"/v1{path}")

        assert reply.status == 200
        check_response("get", path, 200, reply.body)


async def test_a_new_model_has_no_versions_and_no_readme(client: SandboxClient) -> None:
    name = await own_model(client)

    page = (await client.request("GET", f"/v1/models/{name}")).body
    versions = (await client.request("GET", f"/v1/models/{name}/versions")).body
    readme = await client.request("GET", f"/v1/models/{name}/readme")

    assert (page["visibility"], page["latest_version"], page["run_count"]) == ("private", None, 0)
    assert versions["results"] == []
    assert readme.status == 404


async def test_a_name_is_taken_once_and_only_by_its_owner(client: SandboxClient) -> None:
    await own_model(client)
    body = {"owner": "sandbox", "name": "mine", "visibility": "public", "hardware": "cpu"}

    twice = await client.request("POST", "/v1/models", json=body)
    somebody_elses = await client.request("POST", "/v1/models", json=body | {"owner": "acme"})
    empty = await client.request("POST", "/v1/models", json={})

    assert [twice.status, somebody_elses.status, empty.status] == [409, 403, 422]
    assert len(empty.body["invalid_fields"]) == 4


async def test_an_update_changes_only_its_fields(client: SandboxClient) -> None:
    name = await own_model(client)
    changes = {"description": "Foxes.", "readme": "# Foxes", "paper_url": "https://example.org/paper"}

    changed = await client.request("PATCH", f"/v1/models/{name}", json=changes)
    readme = await client.request("GET", f"/v1/models/{name}/readme")
    not_ours = await client.request("PATCH", f"/v1/models/{SCHNELL}", json=changes)

    assert (changed.body["description"], changed.body["paper_url"]) == ("Foxes.", "https://example.org/paper")
    assert changed.body["github_url"] is None
    assert readme.content == b"# Foxes"
    assert not_ours.status == 403


async def test_a_private_model_is_deleted_after_its_versions(client: SandboxClient) -> None:
    name = await own_model(client)
    version = (await wait_until_finished(client, (await train(client, name)).body))["output"]["version"].partition(":")[
        2
    ]
    run = await client.run(version, {"prompt": "a fox", "width": 64, "height": 64})

    too_early = await client.request("DELETE", f"/v1/models/{name}")
    version_gone = await client.request("DELETE", f"/v1/models/{name}/versions/{version}")
    gone = await client.request("DELETE", f"/v1/models/{name}")

    assert [too_early.status, version_gone.status, gone.status] == [400, 202, 204]
    assert (await client.request("GET", run["urls"]["get"])).status == 404
    assert (await client.request("GET", f"/v1/models/{name}")).status == 404


async def test_public_models_and_deployed_versions_stay(client: SandboxClient) -> None:
    public, private = await own_model(client, "shown", "public"), await own_model(client)
    version = (await wait_until_finished(client, (await train(client, private)).body))["output"]["version"].partition(
        ":"
    )[2]
    deployment = {"name": "x", "model": private, "version": version, "hardware": "cpu"}
    await client.request("POST", "/v1/deployments", json=deployment | {"min_instances": 0, "max_instances": 1})

    replies = [
        await client.request("DELETE", f"/v1/models/{public}"),
        await client.request("DELETE", f"/v1/models/{SDXL.partition(':')[0]}"),
        await client.request("DELETE", f"/v1/models/{private}/versions/{version}"),
        await client.request("DELETE", f"/v1/models/{private}/versions/{'0' * 64}"),
    ]

    assert [reply.status for reply in replies] == [400, 403, 400, 404]


async def test_private_models_are_neither_listed_nor_found(client: SandboxClient) -> None:
    await own_model(client, "hidden")
    await own_model(client, "shown", "public")

    listed = (await client.request("GET", "/v1/models")).body["results"]
    found = (await client.request("GET", "/v1/search", params={"query": "sandbox/hidden"})).body["models"]

    assert listed[0]["name"] == "shown"
    assert "hidden" not in {page["name"] for page in listed} | {entry["model"]["name"] for entry in found}
    assert (await client.request("POST", ROUTE, json={"destination": "sandbox/hidden", "input": INPUT})).status == 201
