"""Priors with structure, theta -> p(z), each with a `posterior` by message passing."""
