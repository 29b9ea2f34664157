"""Who we say is calling: the header lines for it, and their signature (STIR)."""
