"""Find, check and run the command of an invocation or a button press."""
