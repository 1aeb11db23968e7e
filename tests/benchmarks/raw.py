"""The floor for `apply`: the requests that it made, sent by bare httpx from as many threads.

`python raw.py REQUESTS THREADS`, with what `record.py` has written down: the same reads before, the same POST for each
database, and after it as many reads of its action and of the object as the real command made, a create on average.
No ledger, no plan, no check of any answer but its status.
"""

import json
import os
import ssl
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx


def main() -> None:
    """Send everything; print the seconds that sending took."""
    requests = json.loads(Path(sys.argv[1]).read_bytes())
    creates = requests["creates"]
    shares = {path: count / len(creates) for path, count in requests["reads"].items()}
    environ = os.environ
    client = httpx.Client(
        base_url=environ["REDIS_ENTERPRISE_URL"],
        auth=(environ["REDIS_ENTERPRISE_USER"], environ["REDIS_ENTERPRISE_PASSWORD"]),
        verify=ssl.create_default_context(cafile=environ["REDIS_ENTERPRISE_CA_CERT"]),
        trust_env=False,
    )

    def send(job: tuple[int, dict[str, object]]) -> None:
        number, body = job
        made = client.post("/v1/bdbs", json=body).raise_for_status().json()
        for path, share in shares.items():
            for _ in range(int((number + 1) * share) - int(number * share)):
                answer = client.get(path.format_map(made))
                if answer.status_code != 404:  # an action that is over may be gone
                    answer.raise_for_status().json()

    start = time.perf_counter()
    for path in requests["before"]:
        client.get(path).raise_for_status().json()
    with ThreadPoolExecutor(int(sys.argv[2])) as pool:
        list(pool.map(send, enumerate(creates)))
    print(f"{time.perf_counter() - start:.2f}")


main()
