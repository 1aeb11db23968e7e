"""`python -m reconciler.kinds > schemas/manifest.json`: the schema of a whole manifest, for editors."""

from __future__ import annotations

import json

from reconciler.kinds.kind_files import manifest_schema

print(json.dumps(manifest_schema(), indent=1, ensure_ascii=False))
