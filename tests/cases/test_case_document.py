"""Reading YAML: one meaning for libyaml's events and for the Python parser's, and the place of every value."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from harness.cases import document
from harness.cases.composer import Marks
from harness.cases.document import Document, parse, parse_slowly
from harness.errors import Place, UserError

MEANINGS = {
    "1e-5": 1e-5,
    "1.": 1.0,
    ".5": 0.5,
    "-.5e+3": -500.0,
    "1_000": "1_000",
    "0o17": 15,
    "0x1F": 31,
    "017": 17,
    "0b1": "0b1",
    "+3": 3,
    "-0": 0,
    "on": "on",
    "yes": "yes",
    "No": "No",
    "true": True,
    "TRUE": True,
    "tRue": "tRue",
    "null": None,
    "~": None,
    "": None,
    ".inf": math.inf,
    "-.INF": -math.inf,
    "2027-06-30": "2027-06-30",
    "12:30:45": "12:30:45",
    "1e": "1e",
    "-": "-",
    "+": "+",
    ".": ".",
    "...x": "...x",
    "nan": "nan",
    "'1'": "1",
    '"true"': "true",
    "!!str 1": "1",
    "!!float 1": 1.0,
    "!!int 7": 7,
    "! 1": "1",
    "é": "é",
    "naïve": "naïve",
    "=": "=",
}


@pytest.mark.parametrize("text", [text for text in MEANINGS if text not in ("-",)])
def test_meaning(text: str) -> None:
    for read in (parse, parse_slowly):
        value = read(f"a: {text}\n", "x").value["a"]
        assert value == MEANINGS[text]
        assert type(value) is type(MEANINGS[text])


def test_nan() -> None:
    assert math.isnan(parse("a: .nan", "x").value["a"])


def test_both_parsers_are_here() -> None:
    assert document.CParser is not None, "install ruamel.yaml.clib: without it loading is twenty times slower"


@pytest.mark.parametrize("text", ["!!int x", "!!float abc", "!!bool 1", "!!null x", "!!int 1.5"])
def test_a_tag_that_does_not_fit(text: str) -> None:
    with pytest.raises(UserError, match=r"^x:1:4: '.*' is no !!\w+$"):
        parse(f"a: {text}", "x")


def test_places() -> None:
    text = "# comment\na: 1\nb:\n  - {c: [2, 3]}\n  - é: x\n    d: y\n"
    found = parse(text, "x")
    assert found.place() == Place("x", 2, 1)
    assert found.place(("a",)) == Place("x", 2, 4)
    assert found.place(("a",), key=True) == Place("x", 2, 1)
    assert found.place(("b", 0, "c", 1)) == Place("x", 4, 13)
    assert found.place(("b", 0, "c"), key=True) == Place("x", 4, 6)
    assert found.place(("b", 1, "é")) == Place("x", 5, 8)
    assert found.place(("b", 1, "missing", 3)) == Place("x", 5, 5)
    assert found.place(("b", 7)) == Place("x", 4, 3)


def test_aliases_share_their_value() -> None:
    found = parse("a: &a [1, 2]\nb: {c: *a, d: *a}\n", "x")
    assert found.value == {"a": [1, 2], "b": {"c": [1, 2], "d": [1, 2]}}
    assert found.place(("b", "d", 1)) == Place("x", 1, 11)


def test_a_byte_order_mark_is_no_text(tmp_path: Any) -> None:
    file = tmp_path / "case.yaml"
    file.write_bytes("\ufeffa: 1\n".encode())
    found = document.read(str(file), "x")
    assert found.value == {"a": 1}
    assert found.place(("a",)) == Place("x", 1, 4)


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**18), 10**18),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
    st.sampled_from([*MEANINGS, "a: b", "# x", "{x}", "[", "&a", "*a", "!t", "%", "@", "a\nb", "  x", "\t", "a #b"]),
)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(min_size=1, max_size=8), trees, min_size=1, max_size=5), st.booleans())
@settings(max_examples=80, deadline=None)
def test_both_parsers_and_ruamel_agree(tree: dict[str, Any], flow: bool) -> None:
    """What ruamel.yaml writes, both paths read alike: values, types and places; ruamel.yaml itself is the judge."""
    import io

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = flow
    stream = io.StringIO()
    yaml.dump(tree, stream)
    text = stream.getvalue()
    slow, slow_error = outcome(parse_slowly, text)
    fast, fast_error = outcome(parse, text)
    assert (slow is None) == (fast is None), (slow_error, fast_error)
    if slow is None or fast is None:
        assert str(slow_error) == str(fast_error)
        return
    assert same(slow.value, fast.value)
    assert marks(slow.marks) == marks(fast.marks)
    judge = YAML(typ="safe", pure=True).load(text)
    if "_" not in text and "0b" not in text and not looks_like_time(text):
        assert same(slow.value, judge)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(max_examples=200, deadline=None)
def test_where_both_parsers_read_a_text_they_read_the_same(data: bytes) -> None:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return
    slow, _ = outcome(parse_slowly, text)
    fast, _ = outcome(parse, text)
    if slow is not None and fast is not None:
        assert same(slow.value, fast.value)


YAMLISH = st.lists(
    st.sampled_from(
        [
            *"abc:-,[]{}#&*!|>'\"%@?\n\t ",
            ": ",
            "- ",
            "? ",
            "\n  ",
            "&a ",
            "*a",
            "!!str ",
            "1e5",
            "on",
            "---\n",
            "é",
            "|\n ",
        ]
    ),
    max_size=30,
).map("".join)


@given(YAMLISH)
@settings(max_examples=200, deadline=None)
def test_yaml_like_noise_is_read_alike_or_refused(text: str) -> None:
    slow, _ = outcome(parse_slowly, text)
    fast, _ = outcome(parse, text)
    if slow is not None and fast is not None:
        assert same(slow.value, fast.value)


def outcome(read: Any, text: str) -> tuple[Document | None, UserError | None]:
    try:
        return read(text, "x"), None
    except UserError as error:
        return None, error


def same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and math.isnan(one):
        return math.isnan(other)
    return bool(one == other)


def marks(node: Any) -> Any:
    if not isinstance(node, Marks):
        return node.line, node.column
    parts = node.parts
    inner = {key: marks(part) for key, part in parts.items()} if isinstance(parts, dict) else [*map(marks, parts)]
    keys = {key: (mark.line, mark.column) for key, mark in node.keys.items()} if node.keys else None
    return node.mark.line, node.mark.column, inner, keys


def looks_like_time(text: str) -> bool:
    """ruamel.yaml makes dates and base-60 numbers of some texts; a case does not."""
    return any(word in text for word in ("2027-06-30", "12:30:45"))
