"""The verbs of /quota: who may spend and do how much, and who did."""
