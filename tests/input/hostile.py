"""Input made to hurt, and the process that reads it with bounded memory and time.

python tests/input/hostile.py [NAME…]      prints one JSON line for each: name, what is said, seconds
"""

from __future__ import annotations

import io
import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from reconciler import manifests
from reconciler.errors import InputError
from reconciler.kinds import Kind, load_kinds

HEAD = "apiVersion: reconciler/v1\nkind: Database\nmetadata: {name: x}\nspec:\n  memory_size: 1GiB\n"
MEMORY = 512 * 1024 * 1024
SECONDS = 60


def bomb(levels: int, width: int) -> str:
    lines = ["a0: &a0 [" + ",".join(["x"] * width) + "]"]
    lines += [f"a{i}: &a{i} [" + ",".join([f"*a{i - 1}"] * width) + "]" for i in range(1, levels)]
    return "\n".join(lines) + "\n"


def map_bomb(levels: int) -> str:
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{i}: &a{i} {{l: *a{i - 1}, r: *a{i - 1}}}" for i in range(1, levels)]
    return "\n".join(lines) + "\n"


def merge_bomb(levels: int) -> str:
    lines = ["a0: &a0 {k0: 1}"]
    lines += [f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}], k{i}: 1}}" for i in range(1, levels)]
    return "\n".join(lines) + "\n"


def deep_by_alias() -> str:
    lines = ["a0: &a0 [x]"]
    lines += [f"a{i}: &a{i} [[[[[*a{i - 1}]]]]]" for i in range(1, 20)]
    return "\n".join(lines) + "\n"


HOSTILE: dict[str, Callable[[], str | bytes]] = {
    "list-bomb": lambda: bomb(9, 9),
    "list-bomb-wide": lambda: bomb(3, 400),
    "list-bomb-long": lambda: bomb(200, 2),
    "map-bomb": lambda: map_bomb(30),
    "map-bomb-in-spec": lambda: HEAD + "  " + map_bomb(40).replace("\n", "\n  ") + "\n",
    "merge-bomb": lambda: merge_bomb(20),
    "merge-chain": lambda: merge_bomb(300),
    "alias-repeated": lambda: "a: &a [" + "x," * 100 + "x]\nb: [" + "*a," * 100_000 + "*a]\n",
    "alias-of-scalar-repeated": lambda: "a: &a x\nb: [" + "*a," * 200_000 + "*a]\n",
    "alias-deep": deep_by_alias,
    "alias-of-itself": lambda: "a: &a [*a]\n",
    "alias-of-itself-by-merge": lambda: "a: &a {<<: *a}\n",
    "alias-in-key": lambda: "a: &a x\n*a : 1\n",
    "alias-unknown-many": lambda: "a: [" + "*x," * 100_000 + "1]\n",
    "anchors-many": lambda: "".join(f"- &a{i} x\n" for i in range(50_000)),
    "anchors-same": lambda: "- &a x\n" * 50_000,
    "anchor-long-name": lambda: "a: &" + "x" * 500_000 + " 1\nb: *y\n",
    "anchor-long-name-twice": lambda: ("- &" + "x" * 300_000 + " 1\n") * 2,
    "alias-long-name": lambda: "a: *" + "x" * 500_000 + "\n",
    "flow-lists-deep": lambda: "[" * 200_000,
    "flow-lists-deep-closed": lambda: "[" * 200_000 + "]" * 200_000,
    "flow-maps-deep": lambda: "{a: " * 100_000 + "}" * 100_000,
    "flow-keys-deep": lambda: "{" * 200_000,
    "flow-mixed-deep": lambda: "[{a: " * 50_000,
    "flow-deep-lines": lambda: "[\n" * 200_000,
    "block-lists-deep": lambda: "- " * 200_000,
    "block-maps-deep": lambda: "".join(" " * i + "a:\n" for i in range(1_000)),
    "explicit-keys-deep": lambda: "? " * 100_000,
    "colons": lambda: ": " * 100_000,
    "deep-in-spec": lambda: HEAD + "  tags: " + "[" * 100_000,
    "deep-at-the-bound": lambda: HEAD + "  tags: " + "[" * 30 + "]" * 30 + "\n",
    "key-long": lambda: "a" * 900_000 + ": 1\n",
    "key-long-explicit": lambda: "? " + "a" * 900_000 + "\n: 1\n",
    "key-long-quoted": lambda: '"' + "a" * 1_000 + '": 1\n',
    "keys-repeated": lambda: "a: 1\n" * 100_000,
    "keys-many": lambda: HEAD + "".join(f"  k{i}: 1\n" for i in range(50_000)),
    "digits": lambda: HEAD + "  shards_count: " + "9" * 900_000 + "\n",
    "digits-under-the-length": lambda: HEAD + "  shards_count: " + "9" * 64 + "\n",
    "exponent": lambda: HEAD + "  shards_count: 1.0e+999999999\n",
    "sexagesimal": lambda: HEAD + "  shards_count: 1" + ":59" * 200_000 + "\n",
    "underscores": lambda: HEAD + "  shards_count: 1" + "_" * 500_000 + "\n",
    "not-a-number": lambda: HEAD + "  shards_count: .nan\n",
    "scalars-refused-many": lambda: "- no\n" * 150_000,
    "string-long": lambda: HEAD + '  eviction_policy: "' + "a" * 900_000 + '"\n',
    "string-for-patterns": lambda: HEAD + '  tags: [{key: "' + "a" * 100_000 + '!", value: x}]\n',
    "email-for-patterns": lambda: (
        HEAD.replace("Database", "User").replace("memory_size: 1GiB", "email: ")[:-1] + "a." * 50_000 + "\n"
    ),
    "acl-for-patterns": lambda: (
        HEAD.replace("Database", "RedisACL").replace("memory_size: 1GiB", "acls: ")[:-1] + "+a" * 50_000 + "\n"
    ),
    "name-long": lambda: HEAD.replace("name: x", "name: " + "x" * 500_000),
    "quote-open": lambda: 'a: "' + "x\n" * 300_000,
    "escapes-broken": lambda: 'a: "' + "\\x" * 300_000 + '"\n',
    "escapes-of-control": lambda: 'a: "' + "\\0" * 300_000 + '"\n',
    "escape-beyond-unicode": lambda: 'a: "\\UFFFFFFFF"\n',
    "surrogates": lambda: 'a: "\\ud800\\udc00"\n',
    "comments-then-nothing-good": lambda: "#" * 500_000 + "\n@\n",
    "spaces-then-tab": lambda: " " * 500_000 + "\t@\n",
    "lines-empty": lambda: "\n" * 900_000 + "@\n",
    "documents-many": lambda: "---\n@\n" * 100_000,
    "documents-many-wrong": lambda: "--- x\n" * 150_000,
    "documents-many-twice": lambda: (HEAD + "---\n") * 5_000,
    "directives-many": lambda: "%FOO bar\n" * 50_000 + "---\na: 1\n",
    "directive-version": lambda: "%YAML 1.1\n---\n" + HEAD,
    "directive-version-huge": lambda: "%YAML " + "9" * 100_000 + ".1\n---\na: 1\n",
    "directive-tag": lambda: "%TAG ! tag:example.com,2000:\n---\na: !x 1\n",
    "tag-python-object": lambda: HEAD + "  tags: !!python/object/apply:os.system ['exit 9']\n",
    "tag-python-name": lambda: HEAD + "  tags: !!python/name:os.system\n",
    "tag-python-module": lambda: HEAD + "  tags: !!python/module:antigravity\n",
    "tag-binary": lambda: HEAD + "  tags: !!binary aGVsbG8=\n",
    "tag-set": lambda: HEAD + "  tags: !!set {a, b}\n",
    "tag-verbatim": lambda: HEAD + "  tags: !<tag:yaml.org,2002:str> x\n",
    "tag-long": lambda: "a: !" + "x" * 500_000 + " 1\n",
    "tag-on-key": lambda: "!!str a: 1\n",
    "block-scalar-indent": lambda: "a: |99999999999\n  x\n",
    "block-scalar-wide": lambda: "a: |\n" + " " * 500_000 + "x\n b\n",
    "template": lambda: "{{ range .Values }}\n" * 10_000,
    "too-large": lambda: "a: 1\n" * 1_000_000,
    "nul": lambda: b"a: 1\0\n",
    "nul-only": lambda: b"\0" * 1_000_000,
    "binary": lambda: bytes(range(256)) * 1_000,
    "elf": lambda: b"\x7fELF" + bytes(1_000),
    "gzip": lambda: b"\x1f\x8b\x08" + b"\xff" * 1_000,
    "utf8-broken": lambda: b"a: \xc3\x28\n",
    "utf8-overlong": lambda: b"a: \xc0\xaf\n",
    "utf8-surrogate": lambda: b"a: \xed\xa0\x80\n",
    "utf16": lambda: HEAD.encode("utf-16"),
    "utf16-without-mark": lambda: HEAD.encode("utf-16-le"),
    "utf32": lambda: HEAD.encode("utf-32"),
    "bom-in-the-middle": lambda: "a: \ufeff1\n",
    "escape-sequence": lambda: "a: \x1b]0;owned\x07\n",
    "line-separators": lambda: "a: x\u2028b: y\n",
    "reference-of-schema": lambda: HEAD + '  $ref: "file:///etc/passwd"\n  $schema: "http://127.0.0.1:1/x"\n',
    "metadata-nested": lambda: HEAD.replace("{name: x}", "{name: {name: {name: x}}}"),
    "metadata-types": lambda: HEAD.replace("{name: x}", "{name: x, cluster: [], clusters: {}, ignore: 5, labels: 1}"),
    "spec-types": lambda: HEAD + "  roles_permissions: {a: {b: [1]}}\n  tags: [[[]], 1, null, {key: [1]}]\n",
}


def refused(name: str, kinds: Mapping[str, Kind]) -> str:
    """Return what is said of the input *name*; "" where it is taken."""
    text = HOSTILE[name]()
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    try:
        manifests.load(["-"], kinds, stdin=io.BytesIO(data))
    except InputError as error:
        return str(error)
    return ""


def main(names: list[str]) -> None:
    kinds = load_kinds()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    for name in names or HOSTILE:
        start = time.perf_counter()
        said = refused(name, kinds)
        seconds = round(time.perf_counter() - start, 3)
        print(json.dumps({"name": name, "said": said, "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
