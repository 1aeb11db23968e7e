"""What a cluster holds, for others to read: manifests of its objects, and endpoints for applications."""

from reconciler.export.manifests import Exported, manifests_of

__all__ = ["Exported", "manifests_of"]
