"""Export of live state: manifests of objects, and endpoints for applications."""

from reconciler.export.manifests import SCHEMA, Exported, Page, Remark, manifests_of

__all__ = ["SCHEMA", "Exported", "Page", "Remark", "manifests_of"]
