"""The ComfyUI backend over real sockets, against the strict stand-in of a server."""
