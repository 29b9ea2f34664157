"""Bytes and what they mean: messages, header fields, URIs, digest. Nothing here remembers anything."""
