"""YAML in files or git to resources: what is declared for each cluster, checked and in canonical form."""

from reconciler.manifests.loader import Manifests, Resource, load
from reconciler.manifests.trees import Tree

__all__ = ["Manifests", "Resource", "Tree", "load"]
