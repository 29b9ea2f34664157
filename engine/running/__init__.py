"""The parts that a running engine is put together of, beside those that dial."""
