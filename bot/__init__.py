"""Easel: one bot that draws, upscales, captions and chats, on any model Replicate runs."""
