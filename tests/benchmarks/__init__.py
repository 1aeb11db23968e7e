"""Whole commands, measured against plain programs that do as little as can be done. See `__main__`."""
