"""Option values: nothing is converted, so a word that YAML 1.1 took for a truth value is refused everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.frameworks.contract.adapter import Implementation, Job, Unsupported, implementations
from harness.frameworks.contract.options import CHOICES, wanted
from harness.layers.base import kinds

ALL = {
    (*key, option): (found, option)
    for key, found in sorted(implementations().items())
    for option in found.adapter.options
}


CONFIG = {"units": 2, "layers": 2, "features": 3, "vocabulary": 3}


def job(found: Implementation, options: dict[str, Any]) -> Job:
    arrays = {"x": np.zeros((2, 3, 4), np.float32)}
    form = kinds()[found.layer].form
    return Job(found.layer, found.backend, CONFIG, options, (), "train", 0, "float32", arrays, {}, {}, None, form=form)


@pytest.mark.parametrize("key", ALL, ids=" ".join)
def test_every_option_has_a_type(key: tuple[str, ...]) -> None:
    found, option = ALL[key]
    default, choices = found.adapter.options[option], found.adapter.choices.get(option)
    assert default is not None or choices or option in CHOICES, "a default of None tells no type: add choices"
    assert wanted(option, default, default, choices) is None
    for value in ("off", "no", 1.5, [True], {}):
        assert wanted(option, value, default, choices) is not None, value


@pytest.mark.parametrize("key", ALL, ids=" ".join)
def test_every_adapter_refuses_other_values(key: tuple[str, ...]) -> None:
    """By `check`, before any framework is imported: for callers of the API, whose options no case file has been read for."""
    found, option = ALL[key]
    with pytest.raises(Unsupported, match=f"^option {option} is .*, not 'off'$"):
        found.adapter().check(job(found, {option: "off"}))


@pytest.mark.parametrize(
    ("name", "value", "default", "words"),
    [
        ("jit", 1, True, "true or false"),
        ("jit", "", True, "true or false"),
        ("jit", None, True, "true or false"),
        ("unroll", True, 1, "a whole number from 1"),
        ("unroll", 0, 1, "a whole number from 1"),
        ("parallel_iterations", "many", 1, "a whole number from 1"),
        ("parallel_iterations", 2.0, 1, "a whole number from 1"),
        ("implementation", True, None, "null, 0, 1 or 2"),
        ("implementation", 3, None, "null, 0, 1 or 2"),
        ("use_cudnn", "off", None, "null, true or false"),
        ("compile", 1, False, "false, true, inductor, aot_eager or eager"),
        ("compile", "xla", False, "false, true, inductor, aot_eager or eager"),
        ("as_state", "row", "", "columns or rows"),
        ("runner", "static", "dynamic_rnn", "dynamic_rnn or static_rnn"),
    ],
)
def test_what_is_wanted(name: str, value: Any, default: Any, words: str) -> None:
    assert wanted(name, value, default) == words


def test_choices_of_an_adapters_own() -> None:
    assert wanted("runner", "mine", "mine", ("mine", "yours")) is None
    assert wanted("runner", "dynamic_rnn", "mine", ("mine", "yours")) == "mine or yours"
