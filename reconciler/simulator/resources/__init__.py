"""Generic resources that are described by one row each, and lookups that endpoints share."""
