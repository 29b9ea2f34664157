"""The codecs that calls can be held in: octets to samples and back. Pure."""
