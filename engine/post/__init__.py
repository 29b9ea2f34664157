"""Letters to people: written down, then sent until they are taken or given up."""
