"""Where a trunk is to be reached: RFC 3263, and which of its servers is well."""
