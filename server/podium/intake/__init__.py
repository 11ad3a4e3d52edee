"""The hot path: an input to a commit (requests, batcher, states, commit call, answers)."""
