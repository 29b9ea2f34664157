"""Sound: G.711, RTP, SDP, prompts, and the 20 ms media plane in its own process."""
