"""Desired against observed state: a `Plan` is a value, made by pure code; the same input gives the same bytes.

planner        decide: everything declared and read, to a plan
decide         what happens to one resource: Change, Held, Unchanged or Invalid
decide_update  what happens to an object that exists
view           the input of a plan, read-only
plan           the values that a plan consists of
dependencies   references to what is missing, held, deleted or replaced
order          which change comes first
read_set       what has to be read
impacts        effects of a change beyond its values
consent        which of them need consent, and who gave it
limits         consent and limits of a whole plan
freezing       freeze windows: what must not be changed now
staleness      whether a plan still holds
plan_file      a plan as bytes
plan_input     what a saved plan was decided from
drift, accept  which side changed, and taking over the live value
adoption       objects that become owned without a change
"""

from reconciler.plan.consent import Consent, ConsentSource
from reconciler.plan.freezing import frozen_changes, without_frozen
from reconciler.plan.impacts import Impacted, undecided
from reconciler.plan.limits import with_consent
from reconciler.plan.multicluster import spanned_clusters, written_clusters
from reconciler.plan.plan import Action, Change, ClusterFailure, Limits, Options, Plan, SourceLocation, UsualLimits
from reconciler.plan.plan_file import FORMAT, SavedPlan, digest, from_json, saved_from_json, to_json
from reconciler.plan.planner import decide
from reconciler.plan.staleness import decided_again, increased_impacts, stale_fields

__all__ = [
    "FORMAT",
    "Action",
    "Change",
    "ClusterFailure",
    "Consent",
    "ConsentSource",
    "Impacted",
    "Limits",
    "Options",
    "Plan",
    "SavedPlan",
    "SourceLocation",
    "UsualLimits",
    "decide",
    "decided_again",
    "digest",
    "from_json",
    "frozen_changes",
    "increased_impacts",
    "saved_from_json",
    "spanned_clusters",
    "stale_fields",
    "to_json",
    "undecided",
    "with_consent",
    "without_frozen",
    "written_clusters",
]
