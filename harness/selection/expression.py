"""`-k EXPR`: words joined by `and`, `or`, `not` and brackets, as pytest has it.

A word matches where it occurs in the text, whatever its case: `-k "lstm and not (float16 or bfloat16)"`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from harness.errors import UserError

Match = Callable[[str], bool]
_TOKEN = re.compile(r"[()]|[^\s()]+")


def compile_expression(expression: str) -> Match:
    """The predicate of an expression. Raises UserError where it cannot be read."""
    tokens = _TOKEN.findall(expression)
    if not tokens:
        return lambda _: True
    match, rest = _any(tokens, expression)
    if rest:
        raise _bad(expression, f"{rest[0]!r} was not expected")
    return lambda text: match(text.lower())


def _any(tokens: list[str], expression: str) -> tuple[Match, list[str]]:
    left, tokens = _all(tokens, expression)
    while tokens and tokens[0].lower() == "or":
        right, tokens = _all(tokens[1:], expression)
        left = _either(left, right)
    return left, tokens


def _all(tokens: list[str], expression: str) -> tuple[Match, list[str]]:
    left, tokens = _one(tokens, expression)
    while tokens and tokens[0].lower() == "and":
        right, tokens = _one(tokens[1:], expression)
        left = _both(left, right)
    return left, tokens


def _one(tokens: list[str], expression: str) -> tuple[Match, list[str]]:
    if not tokens:
        raise _bad(expression, "it ends too early")
    word, rest = tokens[0].lower(), tokens[1:]
    if word == "not":
        inner, rest = _one(rest, expression)
        return (lambda text: not inner(text)), rest
    if word == "(":
        inner, rest = _any(rest, expression)
        if not rest or rest[0] != ")":
            raise _bad(expression, "a bracket is not closed")
        return inner, rest[1:]
    if word in (")", "and", "or"):
        raise _bad(expression, f"{word!r} was not expected")
    return (lambda text: word in text), rest


def _either(left: Match, right: Match) -> Match:
    return lambda text: left(text) or right(text)


def _both(left: Match, right: Match) -> Match:
    return lambda text: left(text) and right(text)


def _bad(expression: str, message: str) -> UserError:
    return UserError(f"-k {expression!r}: {message}; it takes words, and, or, not and brackets")
