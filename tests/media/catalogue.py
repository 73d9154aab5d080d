"""A catalogue with a model of sounds, a model of videos and one of videos for adults, for the bot of a test."""

from pathlib import Path

_MODEL = """
[{key}]
title = "{key}"
task = "{task}"
ref = "ana/{key}"
output = "{output}"
price = {{ tiers = [{{ per = "run", usd = "0.02" }}], source = "a test", read_on = 2026-12-01 }}
max_seconds = 60
usual_seconds = 5
is_adult = {is_adult}
inputs = {{ prompt = "prompt", count = "count"{more} }}
"""


def write_recording_catalogue(path: Path) -> Path:
    """Write the catalogue: `/imagine` asks the model of sounds, or the model that `--model` names."""
    kinds = [("tune", "audio", "false"), ("film", "video", "false"), ("noir", "video", "true")]
    models = [
        _MODEL.format(key=key, task="imagine", output=output, more="", is_adult=is_adult)
        for key, output, is_adult in kinds
    ]
    more = ', messages = "messages"'
    models.append(_MODEL.format(key="answers", task="chat", output="text", more=more, is_adult="false"))
    path.write_text("".join(models), encoding="utf-8")
    return path
