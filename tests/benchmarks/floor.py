"""The floor for `plan`: read YAML, GET the list, compare declared fields. Nothing is checked, limited or explained.

`python floor.py MANIFESTS`, with the cluster in the environment as for the real command. Prints what differs.
"""

import base64
import http.client
import json
import os
import ssl
import sys
from pathlib import Path
from urllib.parse import urlsplit

import yaml


def main() -> None:
    """Compare, and print a line for each difference."""
    desired = {}
    for path in sorted(Path(sys.argv[1]).glob("*.yaml")):
        with path.open("rb") as file:
            for document in yaml.load_all(file, Loader=yaml.CSafeLoader):
                desired[document["metadata"]["name"]] = document["spec"]
    url = urlsplit(os.environ["REDIS_ENTERPRISE_URL"])
    context = ssl.create_default_context(cafile=os.environ["REDIS_ENTERPRISE_CA_CERT"])
    connection = http.client.HTTPSConnection(url.hostname, url.port, context=context)
    login = f"{os.environ['REDIS_ENTERPRISE_USER']}:{os.environ['REDIS_ENTERPRISE_PASSWORD']}"
    connection.request(
        "GET", "/v1/bdbs", headers={"Authorization": "Basic " + base64.b64encode(login.encode()).decode()}
    )
    live = {item["name"]: item for item in json.loads(connection.getresponse().read())}
    changed = 0
    for name, spec in sorted(desired.items()):
        found = live[name]
        fields = [field for field, value in spec.items() if found.get(field) != value]
        for field in fields:
            print(f"{name}: {field}: {found.get(field)} -> {spec[field]}")
        changed += bool(fields)
    print(f"{changed} of {len(desired)} differ")


main()
