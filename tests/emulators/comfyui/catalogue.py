"""The example catalogue for a stand-in: small pictures and few steps, so that a test takes no time."""

import json
from pathlib import Path

EXAMPLES = Path(__file__).parents[3] / "examples" / "comfyui"


def write_catalogue(folder: Path, url: str, *, side: int = 64, steps: int = 3, backend: str = "") -> Path:
    """Write the example into a folder, for a server at `url`; `backend` has further lines of the table."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in EXAMPLES.glob("*.json"):
        workflow = json.loads(path.read_text())
        for node in workflow.values():
            small = {"width": side, "height": side, "steps": steps}
            node["inputs"].update({key: value for key, value in small.items() if key in node["inputs"]})
        (folder / path.name).write_text(json.dumps(workflow))
    text = (EXAMPLES / "models.toml").read_text()
    (folder / "models.toml").write_text(text.replace('url = "http://127.0.0.1:8188"', f'url = "{url}"\n{backend}'))
    return folder / "models.toml"
