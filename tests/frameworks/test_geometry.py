"""The geometry of a recurrent job against plain loops, and that nobody says these facts a second time."""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.frameworks.contract.adapter import Job
from harness.frameworks.contract.geometry import Form, Geometry, outputs_of, stacks_of
from harness.frameworks.contract.places import Part, drawn_as, part_shape, part_slots, place_of, slots_of
from harness.layers.base import kinds
from harness.noises import Site
from harness.tape import Draw, assign

ROOT = Path(__file__).resolve().parents[2]

counts = st.integers(1, 3)


@st.composite
def geometries(draw: Any) -> Geometry:
    """One stack of up to three layers, in one direction or two."""
    backwards = draw(st.booleans())
    return Geometry(
        layers=draw(counts),
        directions=1 if backwards else draw(st.integers(1, 2)),
        gates=draw(st.sampled_from([1, 3, 4])),
        units=draw(counts),
        outputs=draw(counts),
        batch=draw(counts),
        time=draw(counts),
        features=draw(counts),
        backwards=backwards,
        numbered=draw(st.booleans()),
    )


@st.composite
def sites(draw: Any) -> Site:
    """A site of a stack, shared over some of its axes."""
    stack = draw(geometries())
    names = ["input", "state.h", "state.c", "output", "weight.recurrent"] + ["between_layers"] * (stack.layers > 1)
    at = draw(st.sampled_from(names))
    axes = stack.full(at)
    shared = draw(st.sets(st.sampled_from(sorted(axes))))
    shape = tuple(1 if axis in shared else size for axis, size in axes.items())
    return Site(at, 0.5, shared=tuple(shared), axes=tuple(axes), shape=shape, full=tuple(axes.values()))


def numbered(site: Site) -> np.ndarray:
    """A canonical array whose elements are all different."""
    return np.arange(np.prod(site.shape)).reshape(site.shape)


@given(sites(), st.data())
def test_a_place_is_where_a_plain_loop_finds_it(site: Site, data: st.DataObject) -> None:
    chosen = data.draw(st.sets(st.sampled_from(site.axes)))
    where = {
        axis: data.draw(st.integers(0, size - 1))
        for axis, size in zip(site.axes, site.full, strict=True)
        if axis in chosen
    }
    array = numbered(site)
    part = array[place_of(site, **where)]
    assert part.shape == part_shape(site, place_of(site, **where))
    kept = [axis for axis in site.axes if axis not in chosen]
    sizes = dict(zip(site.axes, site.shape, strict=True))
    for index in itertools.product(*(range(sizes[axis]) for axis in kept)):
        at = dict(zip(kept, index, strict=True))
        element = tuple(at.get(axis, min(where.get(axis, 0), sizes[axis] - 1)) for axis in site.axes)
        assert part[index] == array[element]


@given(sites(), st.data())
def test_draws_of_every_part_fill_the_array_once(site: Site, data: st.DataObject) -> None:
    """In any order of a draw's axes; and a tape gives each draw its own part again."""
    order = data.draw(st.permutations([axis for axis in site.axes if axis not in ("layers", "directions", "gates")]))
    sizes = dict(zip(site.axes, site.shape, strict=True))
    looped = [axis for axis in ("layers", "directions", "gates") if axis in sizes]
    array, slots, draws = numbered(site), [], []
    for index in itertools.product(*(range(sizes[axis]) for axis in looped)):
        (slot,) = slots_of(site, order, **dict(zip(looped, index, strict=True)))
        native = slot.to_native(array)
        assert native.shape == tuple(sizes[axis] for axis in order)
        slots.append(slot)
        draws.append(Draw("uniform", native))
    assert np.array_equal(assign(draws, slots)[site.at].values, array)


@given(sites())
def test_a_part_that_is_drawn_as_it_lies(site: Site) -> None:
    place = place_of(site, layers=0, directions=0, gates=0, time=0)
    (slot,) = part_slots(site, place)
    assert np.array_equal(slot.to_native(numbered(site)), numbered(site)[place])


@given(sites(), st.data())
def test_a_part_and_the_axes_that_share_its_mask(site: Site, data: st.DataObject) -> None:
    axis = data.draw(st.sampled_from(site.axes))
    part = Part(site, place_of(site, **{axis: 0}))
    assert part.shape == numbered(site)[part.place].shape
    assert part.axes == tuple(name for name in site.axes if name != axis)
    assert {part.axes[number] for number in part.shared} == set(site.shared) - {axis}
    assert Part(site).shape == site.shape


@given(sites())
def test_a_site_as_it_is_drawn(site: Site) -> None:
    assert drawn_as(site).shape == site.full
    assert drawn_as(site, time=1, gates=1).shape == tuple(
        1 if axis in ("time", "gates") else size for axis, size in zip(site.axes, site.full, strict=True)
    )


def test_a_draw_that_leaves_an_axis_out_is_refused() -> None:
    site = Site("state.h", 0.5, axes=("gates", "batch", "time", "features"), shape=(4, 2, 3, 5), full=(4, 2, 3, 5))
    with pytest.raises(ValueError, match=r"a draw over batch, features has no place in state\.h"):
        slots_of(site, ("batch", "features"), gates=0)


@given(geometries())
def test_a_sequence_is_read_once_from_either_end(stack: Geometry) -> None:
    for direction in range(stack.directions):
        backwards = stack.backwards or direction == 1
        for step, position in enumerate(stack.order(direction)):
            assert position == (stack.time - 1 - step if backwards else step)
        assert len(stack.order(direction)) == stack.time


@given(geometries())
def test_the_last_step_of_each_direction(stack: Geometry) -> None:
    """Built from both directions' outputs as they are made, one step after another."""
    made = {
        (direction, step): np.full((stack.batch, stack.outputs), 10 * direction + step)
        for direction in range(stack.directions)
        for step in range(stack.time)
    }
    y = np.zeros((stack.batch, stack.time, stack.emitted), dtype=int)
    for (direction, step), output in made.items():
        # With go_backwards y is in the order of reading; two directions are put at their positions.
        position = stack.time - 1 - step if direction == 1 else step
        y[:, position, direction * stack.outputs : (direction + 1) * stack.outputs] = output
    expected = np.concatenate([made[direction, stack.time - 1] for direction in range(stack.directions)], axis=-1)
    assert np.array_equal(stack.last(y, lambda parts: np.concatenate(parts, axis=-1)), expected)
    outputs = outputs_of([stack], {"return_sequences": True}, y, [], np.concatenate)
    assert set(outputs) == {"y"}
    assert outputs["y"] is y


@given(geometries())
def test_states_in_and_out(stack: Geometry) -> None:
    for name in stack.states:
        state = np.arange(np.prod(stack.state_shape(name))).reshape(stack.state_shape(name))
        rows = stack.parted(state)
        assert [len(row) for row in rows] == [stack.directions] * stack.layers
        for layer, direction in stack.places():
            assert np.array_equal(rows[layer][direction], state.reshape(stack.grid(name))[layer, direction])
        assert np.array_equal(stack.joined(rows, np.stack), state)


@given(geometries())
def test_states_by_layer_and_direction(stack: Geometry) -> None:
    """What each layer starts from and ends in has the names of the job's inputs and outputs."""
    prefixes = [stack.prefix(*place) for place in stack.places()] if stack.numbered else [""]
    inputs = {}
    for number, (prefix, name) in enumerate(itertools.product(prefixes, stack.states)):
        shape = (stack.batch, stack.state_width(name)) if stack.numbered else stack.state_shape(name)
        inputs[f"{prefix}{name}0"] = 1000 * number + np.arange(np.prod(shape)).reshape(shape)
    rows: list[list[list[Any]]] = [[[] for _ in range(stack.directions)] for _ in range(stack.layers)]
    for layer, way in stack.places():
        for name in stack.states:
            assert stack.initial(name, {}, layer, way) is None
            rows[layer][way].append(stack.initial(name, inputs, layer, way))
            assert rows[layer][way][-1].shape == (stack.batch, stack.state_width(name))
    outputs = stack.returned(rows, np.stack)
    assert {f"{name}0" for name in outputs} == set(inputs)
    for name, state in outputs.items():
        assert np.array_equal(state, inputs[f"{name}0"])
    if stack.layers > 1:
        wrong = stack.returned(rows[::-1], np.stack)
        assert any(not np.array_equal(state, inputs[f"{name}0"]) for name, state in wrong.items())


@given(geometries())
def test_every_weight_has_a_name_of_its_own(stack: Geometry) -> None:
    names = [stack.prefix(layer, direction) for layer, direction in stack.places()]
    assert len(set(names)) == stack.layers * stack.directions
    for (layer, direction), name in zip(stack.places(), names, strict=True):
        expected = f"layer{layer}." if stack.layers > 1 or stack.numbered else ""
        if stack.directions == 2:
            expected += "backward." if direction else "forward."
        assert name == expected


@settings(deadline=None)
@given(st.integers(1, 3), st.booleans(), st.booleans(), st.one_of(st.none(), st.integers(1, 3)))
def test_as_the_reference_names_and_shapes_them(layers: int, both: bool, stated: bool, projection: int | None) -> None:
    kind = kinds()["lstm"]
    config = kind.Config(units=4, layers=layers, bidirectional=both, return_state=stated, projection=projection)
    inputs = {"x": (2, 3, 5)}
    (stack,) = stacks_of(form_of("lstm"), config.model_dump(), inputs)
    weights = kind.weight_shapes(config, inputs)
    for layer, direction in stack.places():
        prefix = stack.prefix(layer, direction)
        assert weights[prefix + "kernel"] == (stack.width(layer), 4 * stack.units)
        assert weights[prefix + "recurrent_kernel"] == (stack.outputs, 4 * stack.units)
    outputs = kind.output_shapes(config, inputs)
    assert outputs["y"] == (2, stack.emitted)
    for name in stack.states if stated else ():
        assert outputs[name] == stack.state_shape(name)


def test_halves() -> None:
    for tied in (False, True):
        config = {"units": 4, "layers": 2, "tied": tied}
        encoder, decoder = stacks_of(form_of("encoder_decoder"), config, {"x": (2, 3, 5), "z": (2, 6, 5)})
        assert (encoder.time, decoder.time) == (3, 6)
        assert (encoder.at("input"), decoder.above(0), decoder.above(1)) == (
            "encoder.input",
            "decoder.between_layers",
            "decoder.output",
        )
        assert encoder.prefix(1) == ("layer1." if tied else "encoder.layer1.")
        outputs = outputs_of(
            [encoder, decoder], {"return_state": True}, np.zeros((2, 6, 4)), [["h", "c"], ["H", "C"]], np.concatenate
        )
        assert [outputs[name] for name in ("encoder.h", "encoder.c", "h", "c")] == ["h", "c", "H", "C"]


def test_a_language_model_has_a_weight_site_for_each_layer() -> None:
    (stack,) = stacks_of(form_of("awd_lstm"), {"units": 4, "features": 6, "layers": 1}, {"x": (2, 3)})
    assert (stack.at("weight.recurrent", 0), stack.prefix(0), stack.features) == (
        "layer0.weight.recurrent",
        "layer0.",
        6,
    )


def test_an_unknown_kind_is_never_an_lstm() -> None:
    job = Job("dropout", "numpy", {"units": 1}, {}, (), "eval", 0, "float32", {}, {}, {}, None)
    with pytest.raises(ValueError, match="'dropout' is no recurrent kind: it declares no gates"):
        _ = job.stacks
    (stack,) = job._replace(layer="of a package", form=Form("fh", ("h",))).stacks
    assert (stack.gates, stack.states, stack.grid("h")) == (2, ("h",), (1, 1, 1, 1))


def test_kinds_that_are_recurrent() -> None:
    recurrent = {name for name, kind in kinds().items() if "units" in kind.Config.model_fields}
    assert recurrent == {name for name, kind in kinds().items() if kind.form}
    for kind in kinds().values():
        assert kind.form is None or Form.of(json.loads(json.dumps(kind.form._asdict()))) == kind.form


def form_of(name: str) -> Form:
    form = kinds()[name].form
    assert form is not None
    return form


#: How these facts were said where they stood in twenty files.
SPELLINGS = (
    r"""get\(["']layers["'], 1\)""",
    r"""2 if [^\n]*bidirectional""",
    r"""["']layer%d\.""",
    r"""["']layer\{""",
    r"""\(?["']forward\.["'], ["']backward\.["']\)?\[""",
)


def said_again(text: str) -> list[str]:
    """The old spellings in a file's text."""
    return [found.group() for spelling in SPELLINGS for found in re.finditer(spelling, text)]


def test_the_geometry_stands_once() -> None:
    home = ROOT / "harness" / "frameworks" / "contract" / "geometry.py"
    files = [path for path in sorted((ROOT / "harness").rglob("*.py")) if path != home]
    found = {str(path.relative_to(ROOT)): said_again(path.read_text(encoding="utf-8")) for path in files}
    assert {name: words for name, words in found.items() if words} == {}
    assert said_again(home.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "line",
    [
        'job.config.get("layers", 1)',
        '2 if job.config.get("bidirectional") else 1',
        '"layer%d." % layer',
        'f"layer{layer}.h"',
        '("forward.", "backward.")[way]',
    ],
)
def test_a_second_time_is_found(line: str) -> None:
    assert said_again(line)
