"""One message kept in step with a growing text."""
