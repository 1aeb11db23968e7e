"""Whatever was resolved as a secret is masked where text leaves the process, also where the text was cut before."""

from __future__ import annotations

import asyncio
import json
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.client.error_texts import error_details
from reconciler.commands.saved_plan import refuse_secrets
from reconciler.errors import Refused
from reconciler.ledger import Intent, Ledger, Record
from reconciler.model import Address
from reconciler.secrets import MASK, Redactor, Secret
from reconciler.web.middleware import MaskedResponse

VALUE = 'canary-9"f3<Kq7>e2&xL5'
PLACE = Address("here", "Database", "a")


@pytest.fixture
def redactor() -> Redactor:
    redactor = Redactor()
    redactor.add(Secret(VALUE))
    redactor.add(Secret("data"))
    return redactor


@pytest.mark.parametrize("before", range(270, 300))
def test_the_text_of_a_server_is_masked_before_it_is_cut(redactor: Redactor, before: int) -> None:
    text = f"{'x' * before}{VALUE} is wrong"
    details = error_details({"error_code": f"c{VALUE}" * 9, "description": text}, redactor.redact)
    assert "canary" not in details.text
    assert len(details.description) <= 300


@pytest.mark.parametrize("kept", range(8, len(VALUE)))
def test_the_beginning_of_a_secret_that_was_cut_is_masked(redactor: Redactor, kept: int) -> None:
    assert redactor.redact(f"it is {VALUE[:kept]}… and so on {VALUE[:kept]}…") == f"it is {MASK}… and so on {MASK}…"


def test_a_mark_alone_changes_nothing(redactor: Redactor) -> None:
    assert redactor.redact("a… canary… b…") == "a… canary… b…"


def response(redactor: Redactor, kind: bytes, *chunks: bytes) -> list[MutableMapping[str, Any]]:
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def respond() -> None:
        masked = MaskedResponse(send, redactor.redact)
        length = str(sum(map(len, chunks))).encode()
        headers = [(b"content-type", kind), (b"content-length", length)]
        await masked.send({"type": "http.response.start", "status": 200, "headers": headers})
        for place, chunk in enumerate(chunks, 1):
            await masked.send({"type": "http.response.body", "body": chunk, "more_body": place < len(chunks)})

    asyncio.run(respond())
    return sent


@pytest.mark.parametrize("kind", [b"text/html; charset=utf-8", b"application/json", b"text/plain; version=0.0.4"])
def test_a_page_is_masked_and_has_the_right_length(redactor: Redactor, kind: bytes) -> None:
    text = f"ö <p>{VALUE}</p> canary-9&#34;f3&lt;Kq7&gt;e2&amp;xL5 {json.dumps(VALUE)}".encode()
    start, body = response(redactor, kind, text[:9], text[9:])
    assert b"canary" not in body["body"].replace(b"canary-9&#34;", b"")  # a quote in another notation
    assert dict(start["headers"])[b"content-length"] == str(len(body["body"])).encode()


def test_what_is_not_text_is_sent_as_it_is(redactor: Redactor) -> None:
    sent = response(redactor, b"image/png", b"\x89PNG\xff", b"more")
    assert [message.get("body") for message in sent] == [None, b"\x89PNG\xff", b"more"]


def test_nothing_in_the_ledger_has_a_secret(redactor: Redactor, tmp_path: Path) -> None:
    fields = {"name": "data", "text": f"with {VALUE}", "listed": [{"a": VALUE}]}
    with Ledger.open(tmp_path / "state", redact=redactor.redact_all) as ledger:
        ledger.start_run("run", revision="", digest="")
        ledger.intend(Intent("op", "create", PLACE, fields, None, {}, run="run"))
        ledger.close("op", "done", record=Record(PLACE, 1, "", fields, {}))
        ledger.finish_run("run", {}, [{"address": str(PLACE), "why": f"the server said {VALUE}"}])
        assert ledger.owned("here")[PLACE].fields["name"] == "data"  # a short value may be a word of the data
    for path in (tmp_path / "state").iterdir():
        assert b"canary" not in path.read_bytes()


def test_a_plan_with_a_secret_in_plain_text_is_not_saved(redactor: Redactor) -> None:
    change = {"address": {"cluster": "here", "kind": "Database", "name": "a"}, "body": {"name": "data"}}
    refuse_secrets(json.dumps({"changes": [change]}).encode(), redactor.redact_all)
    change["body"] = {"name": f"with {VALUE}"}
    with pytest.raises(Refused, match=r"in plain text and cannot be saved: here/Database/a; change the secret"):
        refuse_secrets(json.dumps({"changes": [change]}).encode(), redactor.redact_all)
