"""The floor for `apply`: the requests that it made, sent by bare httpx from as many threads.

`python raw.py MANIFESTS THREADS GETS`: one POST for each database of MANIFESTS, and after it GETS reads of the object,
as many as the real command made a database. No ledger, no plan, no check of any answer but its status.
"""

import os
import ssl
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import yaml


def main() -> None:
    """Send everything; print the seconds that sending took."""
    bodies = []
    for path in sorted(Path(sys.argv[1]).glob("*.yaml")):
        for document in yaml.load_all(path.read_bytes(), Loader=yaml.CSafeLoader):
            bodies.append({"name": document["metadata"]["name"], **document["spec"]})
    threads, gets = int(sys.argv[2]), float(sys.argv[3])
    environ = os.environ
    client = httpx.Client(
        base_url=environ["REDIS_ENTERPRISE_URL"],
        auth=(environ["REDIS_ENTERPRISE_USER"], environ["REDIS_ENTERPRISE_PASSWORD"]),
        verify=ssl.create_default_context(cafile=environ["REDIS_ENTERPRISE_CA_CERT"]),
        trust_env=False,
    )

    def send(job: tuple[int, dict[str, object]]) -> None:
        number, body = job
        uid = client.post("/v1/bdbs", json=body).raise_for_status().json()["uid"]
        for _ in range(int((number + 1) * gets) - int(number * gets)):
            client.get(f"/v1/bdbs/{uid}").raise_for_status().json()

    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(send, enumerate(bodies)))
    print(f"{time.perf_counter() - start:.2f}")


main()
