"""One room for each piece of the outside world; each implements a port of the engine."""
