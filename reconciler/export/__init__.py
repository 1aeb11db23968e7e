"""Export of live state: manifests of objects, and endpoints for applications."""

from reconciler.export.manifests import Exported, manifests_of

__all__ = ["Exported", "manifests_of"]
