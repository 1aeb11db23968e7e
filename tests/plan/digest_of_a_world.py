"""Prints the digest of one plan that has a bit of everything; a test runs this under several hash seeds."""

from reconciler.plan import digest
from tests.plan.scenarios import SCENARIOS

if __name__ == "__main__":
    import hashlib

    print(hashlib.sha256("".join(digest(make()) for _, make in sorted(SCENARIOS.items())).encode()).hexdigest())
