"""The agents of a flow: their shifts, where they meet customers, and how many are called for them."""
