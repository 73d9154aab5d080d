"""A strict stand-in for servers with OpenAI's API, which refuses what each kind of server refuses."""
