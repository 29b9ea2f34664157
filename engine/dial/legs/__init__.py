"""Second legs: calls to agents, transfers, and whoever asks for them."""
