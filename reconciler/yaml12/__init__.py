"""YAML 1.2 to plain values and back, strictly and within limits. Home of PyYAML."""

from reconciler.yaml12.parser_limits import PARSER_LIMITS, ParserLimits, Path, path_text, shown
from reconciler.yaml12.reader import Document, Place, Reading, parse, read

__all__ = [
    "PARSER_LIMITS",
    "Document",
    "ParserLimits",
    "Path",
    "Place",
    "Reading",
    "parse",
    "path_text",
    "read",
    "shown",
]
