"""The sources of manifests: a git repository or a folder, as revisions that are accepted or rejected as a whole.

    sources         Source, open_source
    revision        the values that a source returns
    git_repository  the git source
    mirror          its local clone, and which commits were accepted and rejected
    git_tree        the manifests of a commit
    signatures      verification of commits
    git             runs git in isolation
    process         runs a program within limits
    folder          the folder source
    previous        an earlier commit of the local repository, for `--previous`

Home of `subprocess`. Names and contents of a repository never become paths, options or programs.
"""

from reconciler.source.revision import Rejection, Revision
from reconciler.source.sources import Source, open_source

__all__ = ["Rejection", "Revision", "Source", "open_source"]
