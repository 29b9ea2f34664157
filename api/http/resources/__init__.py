"""The routes' handlers, one module a resource."""
