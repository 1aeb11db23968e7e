"""Generic resources, described by one row each, and lookups shared by endpoints."""
