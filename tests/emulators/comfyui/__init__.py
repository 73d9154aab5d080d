"""A strict stand-in for a ComfyUI server on loopback, with the rules of its own source: validation, queue, sockets."""
