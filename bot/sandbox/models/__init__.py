"""The models of the sandbox: the ids, inputs and outputs of real ones, performed by rules."""
