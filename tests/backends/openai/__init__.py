"""The backend for servers with OpenAI's API."""
