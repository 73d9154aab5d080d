"""One aiohttp application: health, metrics, and the routes other parts hand over."""
