"""A catalogue with a model of sounds, a model of videos and a model of any files, for the bot of a test."""

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
inputs = {{ prompt = "prompt", count = "count"{more} }}
"""


def write_recording_catalogue(path: Path) -> Path:
    """Write the catalogue: `/imagine` asks the model of sounds, or the model that `--model` names."""
    kinds = [("tune", "audio"), ("film", "video"), ("bundle", "files")]
    models = [_MODEL.format(key=key, task="imagine", output=output, more="") for key, output in kinds]
    models.append(_MODEL.format(key="answers", task="chat", output="text", more=', messages = "messages"'))
    path.write_text("".join(models), encoding="utf-8")
    return path
