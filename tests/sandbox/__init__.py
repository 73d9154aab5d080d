"""The sandbox over real HTTP: its routes, its models and its faults."""
