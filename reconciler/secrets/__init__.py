"""Secrets and public text: where their values come from, and that no text shows a secret.

    secret        Secret: a value that has no representation
    secret_value  what may be the value of a secret
    redactor      Redactor: masks known secrets in every text
    lookup        Sources, resolve: what `valueFrom` refers to
    public        PublicSources: text that is shown, and must not be a secret

Called by `settings` and `session`. Must not know kinds, manifests or the network.
"""

from reconciler.secrets.lookup import Sources, resolve
from reconciler.secrets.public import PublicSources
from reconciler.secrets.redactor import Redactor
from reconciler.secrets.secret import MASK, Secret

__all__ = ["MASK", "PublicSources", "Redactor", "Secret", "Sources", "resolve"]
