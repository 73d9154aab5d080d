"""The verbs that look into Replicate: `predictions`, `account`, `models show` and `models versions`."""

from tests.cli.terminal import OwnerTerminal

SDXL = "stability-ai/sdxl"


def test_a_prediction_is_listed_shown_and_cancelled(owner: OwnerTerminal) -> None:
    assert owner.run("predictions list") == "No predictions in the last 24 hours.\n"
    owner.post("/sandbox/faults", {"next": [{"fault": "hang"}]})
    owner.post("/v1/models/black-forest-labs/flux-schnell/predictions", {"input": {"prompt": "a \x1b[31mfox"}})

    listed = owner.run("predictions list --limit 5")
    prediction_id = listed.split()[0]
    shown = owner.run(f"predictions show {prediction_id}")

    assert "black-forest-labs/flux-schnell" in listed
    assert '"prompt": "a ' in shown
    assert "\x1b" not in shown
    assert owner.run(f"predictions cancel {prediction_id}").split()[1] == "canceled"


def test_an_unknown_prediction_is_one_sentence(owner: OwnerTerminal) -> None:
    assert "Replicate shows this token no prediction nothing." in owner.run("predictions show nothing", code=1)
    assert "Replicate shows this token no prediction nothing." in owner.run("predictions cancel nothing", code=1)


def test_the_account_is_named_without_the_token(owner: OwnerTerminal) -> None:
    output = owner.run("account")

    assert "username: sandbox" in output


def test_a_published_model_is_shown_with_its_versions(owner: OwnerTerminal) -> None:
    shown = owner.run(f"models show {SDXL}")
    versions = owner.run(f"models versions {SDXL}")

    assert "prompt" in shown
    assert "none published" in shown
    assert versions.split()[0] in shown
    assert "Replicate shows this token no model no/such." in owner.run("models show no/such", code=1)
    assert "Replicate shows this token no model no/such." in owner.run("models versions no/such", code=1)
