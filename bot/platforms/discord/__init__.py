"""Discord: the bot as an application of discord.com, through discord.py."""
