"""Speech: texts made into sound by a synthesiser in a worker process, and kept for the next call."""
