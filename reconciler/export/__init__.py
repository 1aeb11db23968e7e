"""What a cluster holds, for others to read: manifests of its objects, and endpoints for applications."""

from reconciler.export.manifests import Told, manifests_of

__all__ = ["Told", "manifests_of"]
