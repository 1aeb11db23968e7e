"""Manifests in files or git to resources: what is declared for each cluster, validated and in canonical form."""

from reconciler.manifests.file_tree import FileTree
from reconciler.manifests.loader import load
from reconciler.manifests.resource import Manifests, Resource

__all__ = ["FileTree", "Manifests", "Resource", "load"]
