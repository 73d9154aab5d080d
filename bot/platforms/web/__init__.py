"""The web page as a platform: an HTTP API with live events, and the page itself in `static/`."""
