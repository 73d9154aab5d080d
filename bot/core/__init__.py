"""The words of the bot as types, the protocols the leaves implement, and the error tree."""
