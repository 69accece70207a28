"""One geometry of a recurrent job: its layers and directions, how its weights and sites are named, in which order steps are
read, how states come in and go out. Adapters, references and oracles ask here; harness.frameworks.contract.places tells where a
draw lies in a site's array.

Letters: L layers, N directions, G gates, B batch, T time, D features of the sequence, H units, P outputs (H without a
projection). Sites and the axes of their masks:

    input             (gates G, batch B, time T, features D)       multiplies x_t on its way into the first layer
    state.h           (gates G, batch B, time T, features P)       multiplies h on its way into step t
    state.c           (batch B, time T, features H)                multiplies c on its way into step t
    output            (batch B, time T, features N P)              multiplies the emitted y alone; the state stays as it is
    between_layers    (layers L - 1, batch B, time T, features N P) multiplies each lower layer's outputs on their way up
    weight.recurrent  (inputs P, gates G, units H)                 multiplies the recurrent kernel, once for the whole call:
                      `inputs` is the h that a connection comes from, `units` and `gates` where it goes

Time is the position in the sequence, whichever way it is read. state.h, state.c and weight.recurrent have a first axis
`layers` in a stack, and these and `input` then an axis `directions` (forward, backward) in a bidirectional one. A layer of one
gate has no axis `gates`.

Imported by workers: Python 3.6 syntax, NumPy alone.
"""

from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

DIRECTIONS = ("forward.", "backward.")

#: The halves of an encoder and decoder by the prefix of their names, and the sequence that each reads.
HALVES = (("encoder.", "x"), ("decoder.", "z"))


class Form(NamedTuple):
    """What the recurrent kinds differ in. Each kind declares its own (harness.layers.base), and it comes with every job.

    gates     in their canonical order, a letter each.
    states    that a step hands to the next one.
    halves    (prefix of their names, sequence that they read), in the order in which they run, each from the last one's states.
    numbered  whether names count the layers also where there is one.
    """

    gates: str
    states: Tuple[str, ...]
    halves: Tuple[Tuple[str, str], ...] = (("", "x"),)
    numbered: bool = False

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> "Form":
        """A form from its JSON form, which `_asdict` gives."""
        halves = tuple((str(prefix), str(sequence)) for prefix, sequence in fields["halves"])
        return cls(fields["gates"], tuple(fields["states"]), halves, bool(fields["numbered"]))


class Geometry(NamedTuple):
    """One stack of equal layers, and the sequence that it reads.

    backwards  whether a single direction reads the sequence from its end; its y is then in the order of reading.
    states     names of the states.
    sites      what the names of its sites begin with: `encoder.`.
    weights    what the names of its weights begin with: nothing where tied halves share one set.
    sequence   name of the input that it reads.
    handed     what the names of the states that it returns begin with: nothing, of the last stack.
    """

    layers: int = 1
    directions: int = 1
    gates: int = 4
    units: int = 1
    outputs: int = 1
    batch: int = 1
    time: int = 1
    features: int = 1
    backwards: bool = False
    states: Tuple[str, ...] = ("h", "c")
    sites: str = ""
    weights: str = ""
    sequence: str = "x"
    handed: str = ""
    numbered: bool = False

    @property
    def emitted(self) -> int:
        """The width of y: both directions' outputs side by side."""
        return self.directions * self.outputs

    def width(self, layer: int) -> int:
        """The width of the sequence that a layer reads."""
        return self.emitted if layer else self.features

    def places(self) -> List[Tuple[int, int]]:
        """Every (layer, direction), in order."""
        return [(layer, direction) for layer in range(self.layers) for direction in range(self.directions)]

    def prefixes(self, layer: int) -> List[str]:
        """What the names of a layer's weights begin with, for each direction: `layer0.forward.`."""
        above = self.weights + (layer_name(layer) if self.layers > 1 or self.numbered else "")
        return [above + direction for direction in DIRECTIONS] if self.directions > 1 else [above]

    def prefix(self, layer: int, direction: int = 0) -> str:
        """What the names of one direction's weights begin with."""
        return self.prefixes(layer)[direction]

    def at(self, name: str, layer: int = 0) -> str:
        """The whole name of a site; a language model, whose layers may differ, has a recurrent weight's for each."""
        return self.sites + (layer_name(layer) if self.numbered and name == "weight.recurrent" else "") + name

    def above(self, layer: int) -> str:
        """The site of what a layer emits."""
        return self.at("between_layers" if layer < self.layers - 1 else "output")

    def reversed(self, direction: int) -> bool:
        """Whether a direction reads the sequence from its end."""
        return self.backwards or direction > 0

    def order(self, direction: int = 0) -> List[int]:
        """The positions in the sequence, as a direction reads them."""
        return list(range(self.time))[:: -1 if self.reversed(direction) else 1]

    def ends(self) -> List[Tuple[int, Any]]:
        """Where y (…, T, N P) has the output of the step that each direction read last: (index of the step, columns)."""
        if self.directions == 1:
            return [(-1, slice(None))]
        return [(-1, slice(None, self.outputs)), (0, slice(self.outputs, None))]

    def last(self, y: Any, join: Callable[[List[Any]], Any]) -> Any:
        """What is returned instead of y; `join` sets arrays side by side."""
        parts = [y[..., step, columns] for step, columns in self.ends()]
        return parts[0] if len(parts) == 1 else join(parts)

    @property
    def leading(self) -> Tuple[int, ...]:
        """The sizes of a state's axes before (B, ·): layers and directions, where there are several."""
        return tuple(size for size in (self.layers, self.directions) if size > 1)

    def state_width(self, name: str) -> int:
        """The width of a state by its name: P of h, H of c."""
        return self.outputs if name == "h" else self.units

    def state_shape(self, name: str) -> Tuple[int, ...]:
        """The canonical shape of a state by its name."""
        return (*self.leading, self.batch, self.state_width(name))

    def grid(self, name: str) -> Tuple[int, ...]:
        """The shape of a state with all its axes: (L, N, B, ·)."""
        return (self.layers, self.directions, self.batch, self.state_width(name))

    def parted(self, state: Any) -> List[List[Any]]:
        """A canonical state as (B, ·) by layer and direction."""
        rows = [state[layer] for layer in range(self.layers)] if self.layers > 1 else [state]
        return [[row[way] for way in range(self.directions)] if self.directions > 1 else [row] for row in rows]

    def joined(self, rows: Sequence[Sequence[Any]], pile: Callable[[List[Any]], Any]) -> Any:
        """Arrays (B, ·) by layer and direction as one canonical state; `pile` stacks arrays along a new first axis."""
        each = [row[0] if self.directions == 1 else pile(list(row)) for row in rows]
        return each[0] if self.layers == 1 else pile(each)

    def initial(self, name: str, inputs: Mapping[str, Any], layer: int, direction: int = 0) -> Optional[Any]:
        """What a layer's state starts from, (B, ·), of the inputs `h0`, or `layer0.h0` where layers differ; None: not given."""
        if self.numbered:
            return inputs.get(self.prefix(layer, direction) + name + "0")
        whole = inputs.get(name + "0")
        return None if whole is None else self.parted(whole)[layer][direction]

    def returned(self, rows: Sequence[Sequence[Sequence[Any]]], pile: Callable[[List[Any]], Any]) -> Dict[str, Any]:
        """The last states by their names among the outputs: `h`, `encoder.c`, or `layer0.h` where layers differ.

        rows   by layer and direction the states (B, ·), in the order of `states`.    pile   as in `joined`.
        """
        if self.numbered:
            named = [(self.prefix(*place), rows[place[0]][place[1]]) for place in self.places()]
            return {above + name: state for above, states in named for name, state in zip(self.states, states)}
        return {
            self.handed + name: self.joined([[states[index] for states in row] for row in rows], pile)
            for index, name in enumerate(self.states)
        }

    def full(self, at: str) -> Dict[str, int]:
        """The axes and sizes of a site of this stack, by its name without the stack's prefix."""
        emitted = {"batch": self.batch, "time": self.time, "features": self.emitted}
        if at == "output":
            return emitted
        if at == "between_layers":
            return dict({"layers": self.layers - 1}, **emitted)
        sequence = {"batch": self.batch, "time": self.time}
        gates = {"gates": self.gates} if self.gates > 1 else {}
        own: Dict[str, Dict[str, int]] = {
            "input": dict(gates, **sequence, features=self.features),
            "state.h": dict(gates, **sequence, features=self.outputs),
            "state.c": dict(sequence, features=self.units),
            "weight.recurrent": dict({"inputs": self.outputs}, **gates, units=self.units),
        }
        leading = {"layers": self.layers} if self.layers > 1 and at != "input" else {}
        return dict(leading, **({"directions": self.directions} if self.directions > 1 else {}), **own[at])


def layer_name(number: int) -> str:
    """How the names of what one layer of several has begin: `layer0.`."""
    return f"layer{number}."


def own_part(prefix: str, arrays: Mapping[str, Any]) -> Dict[str, Any]:
    """The arrays whose names begin with a prefix, named without it."""
    return {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}


def stacks_of(form: Form, config: Mapping[str, Any], shapes: Mapping[str, Sequence[int]]) -> Tuple[Geometry, ...]:
    """The stacks of a job of a recurrent kind, in the order in which they run.

    shapes   of the inputs by name: (B, T, D), or tokens (B, T) and a setting `features`; of one that is not given, ones.
    """
    units = int(config["units"])
    found = []
    for prefix, sequence in form.halves:
        sizes = [*shapes.get(sequence, (1, 1, 1)), int(config.get("features") or 1)]
        found.append(
            Geometry(
                layers=int(config.get("layers") or 1),
                directions=2 if config.get("bidirectional") else 1,
                gates=len(form.gates),
                units=units,
                outputs=int(config.get("projection") or units),
                batch=int(sizes[0]),
                time=int(sizes[1]),
                features=int(sizes[2]),
                backwards=bool(config.get("go_backwards")),
                states=form.states,
                sites=prefix,
                weights="" if config.get("tied") else prefix,
                sequence=sequence,
                handed="" if prefix == form.halves[-1][0] else prefix,
                numbered=form.numbered,
            )
        )
    return tuple(found)


def outputs_of(
    stacks: Sequence[Geometry],
    config: Mapping[str, Any],
    y: Any,
    states: Sequence[Sequence[Any]],
    join: Callable[[List[Any]], Any],
) -> Dict[str, Any]:
    """The outputs of a job by name: y, or its last step; and the states that are returned.

    y       (…, T, N P) of the last stack.          states   each stack's, canonical, in the order of its `states`.
    join    sets two arrays side by side.
    """
    outputs = {"y": y if config.get("return_sequences") else stacks[-1].last(y, join)}
    if config.get("return_state"):
        for stack, own in reversed(list(zip(stacks, states))):
            outputs.update((stack.handed + name, state) for name, state in zip(stack.states, own))
    return outputs
