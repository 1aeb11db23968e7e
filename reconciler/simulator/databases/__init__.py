"""Databases: validation, lifecycle, endpoints, and what belongs to one database."""
