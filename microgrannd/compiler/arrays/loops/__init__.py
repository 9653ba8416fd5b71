"""Our own array library: array code recorded once and compiled to native loops."""
