"""Malformed and unusual JSON."""

from __future__ import annotations

import contextlib
import gc
import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.client import MalformedObject, gc_paused, parse_json
from reconciler.client.json_parser import INVALID_NUMBER, MAX_BYTES, MalformedJson, is_well_formed

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def test_a_number_of_four_thousand_digits_affects_only_its_object() -> None:
    for digits in (21, 400, 4000, 4299, 5000):
        good, bad = parse_json(b'[{"uid": 1}, {"uid": 2, "size": -' + b"9" * digits + b"}]", tolerant=True)
        assert (good, bad) == ({"uid": 1}, {"uid": 2, "size": INVALID_NUMBER})
        assert isinstance(bad, MalformedObject)


def test_text_with_many_digits_and_the_largest_integers_are_no_invalid_numbers() -> None:
    value = [{"name": "1" * 40, "size": 2**64 - 1, "low": -(2**63)}]
    assert parse_json(json.dumps(value).encode()) == value
    assert not isinstance(parse_json(json.dumps(value).encode(), tolerant=True)[0], MalformedObject)


@given(VALUES)
def test_sound_json_is_what_the_standard_library_reads(value: object) -> None:
    data = json.dumps(value).encode("utf-8", "surrogatepass")
    assert parse_json(data) == parse_json(data, tolerant=True) == json.loads(data)
    assert is_well_formed(value)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_bad_json(data: bytes) -> None:
    with contextlib.suppress(MalformedJson):
        parse_json(data)


@pytest.mark.parametrize(
    "data",
    [
        b"", b" ", b"{", b"[1,]", b"nul", b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"9" * 5000,
        b"[" * 65 + b"]" * 65, b'{"a":' * 65 + b"1" + b"}" * 65, b"[" * 200_000, b'"\xed\xa0\x80"', b"\xff", b"{}{}",
        b" " * (MAX_BYTES + 1),
    ],
)  # fmt: skip
def test_it_is_refused_in_few_words(data: bytes) -> None:
    with pytest.raises(MalformedJson):
        parse_json(data)


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"9" * 5000, b"-" + b"9" * 5000])
def test_an_invalid_number_costs_only_the_object_that_holds_it(number: bytes) -> None:
    good, bad = parse_json(b'[{"uid": 1, "size": 5}, {"uid": 2, "size": ' + number + b"}]", tolerant=True)
    assert type(good) is dict
    assert type(bad) is MalformedObject
    assert bad == {"uid": 2, "size": INVALID_NUMBER}
    alone = parse_json(b'{"size": ' + number + b"}", tolerant=True)
    assert type(alone) is MalformedObject


@pytest.mark.parametrize("text", [rb'{"a": "\ud800"}', rb'{"a": ["\uDFFF"]}', rb'{"a": {"\ud83d": 1}}'])
def test_half_of_a_surrogate_pair_is_malformed_wherever_it_is(text: bytes) -> None:
    assert type(parse_json(text, tolerant=True)) is MalformedObject
    assert [type(item) for item in parse_json(b"[{}, " + text + b", 1]", tolerant=True)] == [dict, MalformedObject, int]


def test_a_whole_surrogate_pair_is_sound() -> None:
    found = parse_json(rb'{"a": "\ud83d\ude00"}', tolerant=True)
    assert type(found) is dict
    assert found == {"a": "\U0001f600"}


def test_depth_up_to_the_limit_is_taken() -> None:
    assert parse_json(b"[" * 64 + b"]" * 64)


def test_the_collector_is_back_after_overlapping_pauses() -> None:
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with gc_paused():
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=other)
    with gc_paused():
        thread.start()
        assert inside.wait(60)
    assert not gc.isenabled()
    leave.set()
    thread.join()
    assert gc.isenabled()


def test_the_collector_stays_off_where_it_was_off() -> None:
    gc.disable()
    try:
        with gc_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
