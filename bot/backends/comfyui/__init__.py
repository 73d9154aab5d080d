"""ComfyUI's HTTP API: any workflow in API format as a model, on a machine of the owner's."""
