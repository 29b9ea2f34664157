"""One attempt from its intent to its outcome, and what is written down and told of it."""
