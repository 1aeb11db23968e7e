"""Where manifests come from: a git repository or a folder, as revisions that are accepted or rejected as a whole."""

from reconciler.source.revision import Rejection, Revision, Source
from reconciler.source.sources import open_source

__all__ = ["Rejection", "Revision", "Source", "open_source"]
