"""The Replicate backend: each fault of the network and each refusal of the API, by a scripted server."""
