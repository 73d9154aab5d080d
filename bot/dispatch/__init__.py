"""An invocation comes in, the right command answers."""
