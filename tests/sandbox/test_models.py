"""The models' pages and schemas, and the account routes."""

from typing import Any

from tests.sandbox.conftest import SandboxClient
from tests.sandbox.specification import check_response
from tests.sandbox.test_predictions import BLIP, LLAMA, SCHNELL, SDXL


async def test_every_model_is_listed_with_a_schema(client: SandboxClient) -> None:
    listed = await client.request("GET", "/v1/models")

    check_response("get", "/models", 200, listed.body)
    names = [f"{model['owner']}/{model['name']}" for model in listed.body["results"]]
    assert names == [
        SCHNELL,
        "black-forest-labs/flux-dev",
        "black-forest-labs/flux-1.1-pro",
        "stability-ai/sdxl",
        "nightmareai/real-esrgan",
        LLAMA,
        "meta/meta-llama-3-70b-instruct",
        "salesforce/blip",
        "andreasjansson/blip-2",
    ]


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
