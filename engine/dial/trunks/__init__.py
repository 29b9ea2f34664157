"""Trunks as dialling sees them: what they take, whether they answer, and the way that a call goes by them."""
