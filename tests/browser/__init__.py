"""The page in a real browser, against the whole bot and the sandbox."""
