"""What can be declared: `schemas/*.json` read into `Kind` values. Home of jsonschema and cronsim.

    kind           Kind, Field and what they consist of
    traits         what only one kind needs
    kind_files     reads the kind files
    vocabulary     the keywords of a kind file, translated to JSON Schema
    quantities     `2GiB`, `5m`: numbers with units
    versions       which server version supports what
    server_schema  the schema that a cluster serves
    labels         names of list items in a path
    uniqueness     values that no two objects may share
    freeze         freeze windows, of manifests and of the project
    validation     validates a value against a JSON Schema

Read by every layer above. Must not know manifests, clusters or plans.
"""

from reconciler.kinds.kind import (
    MISSING,
    SINGLETON,
    Access,
    ChangeRules,
    Field,
    Form,
    Impact,
    Kind,
    KindPolicy,
    MarkedFields,
    Ratio,
    Reference,
    Rest,
    Support,
    Usual,
    address_fields,
    copying_fields,
    ratio_fields,
    reference_fields,
)
from reconciler.kinds.kind_files import (
    envelope_schema,
    envelope_validator,
    kind_source,
    load_kinds,
    manifest_schema,
    schema_folder,
)
from reconciler.kinds.traits import CreateDefault, MultiCluster, Readiness, Traits

__all__ = [
    "MISSING",
    "SINGLETON",
    "Access",
    "ChangeRules",
    "CreateDefault",
    "Field",
    "Form",
    "Impact",
    "Kind",
    "KindPolicy",
    "MarkedFields",
    "MultiCluster",
    "Ratio",
    "Readiness",
    "Reference",
    "Rest",
    "Support",
    "Traits",
    "Usual",
    "address_fields",
    "copying_fields",
    "envelope_schema",
    "envelope_validator",
    "kind_source",
    "load_kinds",
    "manifest_schema",
    "ratio_fields",
    "reference_fields",
    "schema_folder",
]
