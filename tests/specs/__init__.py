"""Public descriptions of the APIs the bot speaks, and checks against them."""
