"""Files and folders, ids, what a variant holds, and that loading is lazy and runs nothing."""

from __future__ import annotations

import datetime
import gc
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toy_kinds import CASE

from harness.cases import iterate, load, load_one
from harness.cases.document import parse
from harness.errors import Place, Problem, UserError
from harness.records import BackendRef, Variant

Good = Callable[[str], list[Variant]]
ROOT = Path(__file__).parents[2]


def test_everything_of_a_case(good: Good) -> None:
    Path("port.py").write_text("raise SystemExit('this must not run')\n")
    (variant,) = good(
        CASE.replace(
            "[numpy]",
            "\n  - numpy\n  - torch\n  - {torch: toys.Toy, options: {jit: false}, name: eager, environment: current}"
            "\n  - {jax: jaxtoys.Toy}\n  - {name: mine, framework: torch, target: 'port.py:run', options: {any: 1}}",
        )
        + "dropout: [{at: input, rate: 0.5, shared: [time]}]\nseeds: [3, 1]\nmode: eval\ndraws: replay\ngradients: false\n"
        + "timeout: 5\ntags: [a, b]\nchecks: ['mask.*']\ntolerance: {value.y: 1e-3}\nenvironment: tf1.8\n"
        + "expect: [{backend: eager, check: 'mask.*', reason: because, until: 2027-06-30}]\n"
    )
    assert (variant.id, variant.path, variant.about, variant.layer) == ("case.yaml", "case.yaml", "A case.", "toy")
    assert (variant.seeds, variant.mode, variant.draws, variant.gradients) == ((3, 1), "eval", "replay", False)
    assert (variant.timeout, variant.tags, variant.checks) == (5.0, ("a", "b"), ("mask.*",))
    assert (variant.tolerance, variant.dtype) == ({"value.y": 1e-3}, "float32")
    assert variant.sites[0].shared == ("time",)
    numpy, torch, eager, jax, mine = variant.backends
    assert (numpy.label, numpy.whole, numpy.environment) == ("numpy @tf1.8", True, "tf1.8")
    assert (torch.whole, torch.implementation) == (True, None)
    assert (eager.label, eager.options, eager.environment, eager.whole) == ("eager", {"jit": False}, "", False)
    assert jax.label == "jax: jaxtoys.Toy @tf1.8"
    assert (mine.backend, mine.target, mine.label, mine.options) == ("torch", "port.py:run", "mine", {"any": 1})
    (expected,) = variant.expect
    assert (expected.backend, expected.check, expected.reason) == ("eager", "mask.*", "because")
    assert expected.until == datetime.date(2027, 6, 30)
    assert variant.place == Place("case.yaml", 1, 1)
    assert eager.place == Place("case.yaml", 8, 5)
    assert expected.place is not None
    assert expected.place.line == 21
    assert variant.inputs["x"].place == Place("case.yaml", 4, 13)
    assert variant.source == Path("case.yaml").read_text()


def test_defaults(good: Good) -> None:
    (variant,) = good(CASE)
    assert (variant.seeds, variant.mode, variant.draws, variant.dtype) == ((0,), "train", "native", "float32")
    assert (variant.gradients, variant.timeout, variant.tags, variant.checks) == (True, 120.0, (), ())
    assert variant.backends == (BackendRef("numpy", whole=True, place=Place("case.yaml", 5, 12)),)


def test_folders_are_walked_in_order(toys: Path) -> None:
    for name in ("b/z.yaml", "b/a/y.yml", "a.yaml", "c.txt", ".hidden.yaml", ".git/x.yaml"):
        path = Path("cases") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(CASE)
    names = ["cases/a.yaml", "cases/b/a/y.yml", "cases/b/z.yaml"]
    assert [variant.id for variant in load(["cases"])] == names
    assert [variant.id for variant in load([Path("cases/")])] == names
    assert [variant.id for variant in load(["./cases/../cases"])] == names
    assert [variant.id for variant in load([Path.cwd() / "cases"])] == names
    assert [variant.id for variant in load(["."])] == names
    assert [variant.id for variant in load(["cases/b/z.yaml", "cases"])] == [names[2], *names[:2]]
    assert [variant.id for variant in load_one("cases/c.txt")] == ["cases/c.txt"]


def test_a_case_outside_the_working_directory(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other") / "case.yaml"
    other.write_text(CASE)
    assert load_one(other)[0].id == other.as_posix()


def test_links_to_folders_do_not_loop(toys: Path) -> None:
    Path("cases").mkdir()
    Path("cases/a.yaml").write_text(CASE)
    Path("cases/again").symlink_to(Path.cwd() / "cases")
    assert [variant.id for variant in load(["cases"])] == ["cases/a.yaml"]


def test_iterating_gives_the_good_ones_first(toys: Path) -> None:
    Path("a.yaml").write_text(CASE)
    Path("b.yaml").write_text("junk")
    Path("c.yaml").write_text(CASE)
    variants = iterate(["a.yaml", "b.yaml", "c.yaml"])
    assert [next(variants).id, next(variants).id] == ["a.yaml", "c.yaml"]
    with pytest.raises(UserError, match=r"^b\.yaml:1:1: "):
        next(variants)


def test_iterating_reads_files_only_when_it_gets_there(toys: Path) -> None:
    Path("a.yaml").write_text(CASE)
    variants = iterate(["a.yaml", "later.yaml"])
    assert next(variants).id == "a.yaml"
    Path("later.yaml").write_text(CASE)
    assert next(variants).id == "later.yaml"


def test_memory_stays_flat_while_iterating(toys: Path) -> None:
    numbers = ", ".join(map(str, range(2000)))
    Path("case.yaml").write_text(CASE + f"matrix: {{seeds.0: [{numbers}]}}\nseeds: [0]\n")
    variants = iterate(["case.yaml"])
    for _ in range(100):
        next(variants)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    assert sum(1 for _ in variants) == 1900
    grown = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert grown < 300_000


def test_loading_leaves_the_garbage_collector_as_it_was(toys: Path) -> None:
    Path("bad.yaml").write_text("junk")
    assert gc.isenabled()
    with pytest.raises(UserError):
        load(["bad.yaml"])
    assert gc.isenabled()
    gc.disable()
    try:
        with pytest.raises(UserError):
            load(["bad.yaml"])
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_case_format_without_the_extra_wheel(good: Good, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.cases import document

    fast = good(CASE)
    monkeypatch.setattr(document, "CParser", None)
    assert good(CASE) == fast


def test_loading_imports_no_framework(tmp_path: Path) -> None:
    """The host never imports a framework; neither does looking up implementations."""
    (tmp_path / "case.yaml").write_text(
        "about: x\nlayer: dropout\nconfig: {rate: 0.5}\ninputs: {x: {shape: [2, 3], fill: ones}}\n"
        "backends: [numpy, tensorflow, torch, jax]\n"
    )
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom harness.cases import load\nassert load(['case.yaml'])\n"
        "print(sorted({'tensorflow', 'torch', 'jax', 'keras', 'flax', 'equinox', 'pandas', 'scipy', 'ml_dtypes'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_loading_costs_little_more_than_parsing(toys: Path) -> None:
    """A thousand one-file cases: no more than eight times what libyaml's bare events cost (three to five measured)."""
    Path("cases").mkdir()
    for number in range(1000):
        Path(f"cases/{number}.yaml").write_text(CASE)
    load(["cases"])
    texts = [Path(f"cases/{number}.yaml").read_text() for number in range(1000)]
    parsing = min(timed(lambda: [parse(text, "x") for text in texts]) for _ in range(3))
    loading = min(timed(lambda: load(["cases"])) for _ in range(3))
    assert loading < 8 * parsing


def timed(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(st.binary(max_size=300))
def test_arbitrary_bytes_give_user_errors_only(toys: Path, data: bytes) -> None:
    Path("case.yaml").write_bytes(data)
    with pytest.raises(UserError):
        load(["case.yaml"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(st.data())
def test_damaged_cases_load_or_give_user_errors(toys: Path, data: st.DataObject) -> None:
    """A good case with pieces cut out, doubled and swapped for others."""
    text = RICH
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 12)))
        piece = data.draw(st.sampled_from([*PIECES, text[start:end] * 2]))
        text = text[:start] + piece + text[end:]
    Path("case.yaml").write_text(text, encoding="utf-8", errors="surrogatepass")
    check_outcome()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(st.data())
def test_any_value_at_any_key_loads_or_gives_user_errors(toys: Path, data: st.DataObject) -> None:
    import json

    key = data.draw(st.sampled_from([*KEYS]))
    value = data.draw(VALUES)
    tree = {"about": "x", "layer": "toy", "config": {"units": 2}, "inputs": {"x": [[[1]]]}, "backends": ["numpy"]}
    Path("case.yaml").write_text(json.dumps({**tree, key: value}))
    check_outcome()


def check_outcome() -> None:
    """The file loads, or its problems all have a place; any other exception escapes and fails the test."""
    problems: tuple[Problem, ...] = ()
    try:
        found = load(["case.yaml"])
    except UserError as error:
        problems = error.problems
    else:
        assert found
        return
    assert problems
    assert all(problem.place and problem.place.file == "case.yaml" for problem in problems)


def test_the_undamaged_case_loads(good: Good) -> None:
    assert len(good(RICH)) == 2


RICH = """\
about: A case of everything.
layer: toy
config: {units: "{units}", axes: [a, b]}
dropout: [{at: input, rate: "{rate}", shared: [time]}, {at: state.h, rate: 0.5}]
inputs: {x: {shape: [5, 7, 3], fill: normal, seed: 1}, h0: [[1, 2]]}
weights: {kernel: {fill: uniform}, bias: {values: [1, 2]}}
seeds: [0, 1]
backends: [numpy, {torch: toys.Toy, options: {jit: true}}, {name: d, recorded: {y: [1]}, digits: 3, source: s}]
matrix: {units: [2], rate: [0.5, 1], exclude: [{rate: 1}], include: [{rate: 0, units: 2}]}
expect: [{backend: "torch*", check: "*", reason: why, until: 2027-01-01, variant: {rate: 0}}]
tolerance: {value.y: 1e-3}
"""
PIECES = [
    "",
    "{",
    "}",
    "[",
    "]",
    "-1",
    "0",
    "null",
    ".nan",
    "1e400",
    "&a ",
    "*a",
    "!!int ",
    "x",
    "\n",
    ": ",
    "'",
    '"',
    "  ",
    "é",
]
KEYS = (
    *("about", "layer", "config", "dropout", "inputs", "weights", "seeds", "mode", "draws", "dtype", "gradients"),
    *("backends", "matrix", "expect", "tolerance", "checks", "timeout", "tags", "environment", "other"),
)
WORDS = st.sampled_from(
    [
        *KEYS,
        *("x", "h0", "kernel", "bias", "fill", "file", "values", "shape", "ones", "torch", "numpy", "toys.Toy", "at"),
        *("rate", "input", "include", "exclude", "recorded", "digits", "source", "name", "target", "framework"),
        *("toy", "flat", "{x}", "config.units", "inputs.x", ".", "", "uniform", "seed", "low", "high", "options", "y"),
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10) | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=12,
)
