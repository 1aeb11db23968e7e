"""YAML 1.2 to plain values and back, strictly and within bounds. Home of PyYAML."""

from reconciler.yaml12.reader import Document, Place, Reading, parse, read
from reconciler.yaml12.text import BOUNDS, Bounds, Path, path_text, shown
from reconciler.yaml12.writing import write

__all__ = ["BOUNDS", "Bounds", "Document", "Path", "Place", "Reading", "parse", "path_text", "read", "shown", "write"]
