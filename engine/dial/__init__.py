"""Who may be dialled now, and one attempt from intent to outcome."""
