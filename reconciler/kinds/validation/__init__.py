"""Validates a value against a JSON Schema and explains what is wrong. Home of jsonschema."""

from reconciler.kinds.validation.validator import Validator

__all__ = ["Validator"]
