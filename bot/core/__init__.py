"""The shared types of the bot, the protocols of platforms and backends, and the error tree."""
