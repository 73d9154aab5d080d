"""The models of the sandbox: ids, inputs and outputs of real models, performed by rules."""
