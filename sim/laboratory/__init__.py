"""The engine and a carrier in virtual time, for tests that users write of their own flows."""
