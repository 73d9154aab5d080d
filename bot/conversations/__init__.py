"""Chats that go on: their turns, and the prompts made of them."""
