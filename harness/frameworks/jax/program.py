"""A traced JAX function whose random border is open: its draws come out as results, or go in as arguments.

The function is traced once to a jaxpr, JAX's own intermediate language. `find` lists where it draws with a tapped key;
`Program` evaluates it equation by equation (the interpreter of JAX's tutorial "Writing custom Jaxpr interpreters in JAX"),
opening `jit`, `scan` and `checkpoint` where there are draws inside and binding every other equation as it stands. The evaluation
is itself a JAX function, so it is compiled by `jit`, or run operation by operation without it, and is differentiated
by `vjp`, exactly as the traced function would be.
"""

from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple, Union

import numpy as np

from harness.frameworks.contract.adapter import Unsupported
from harness.frameworks.jax.equations import NORMAL_FUNCTION, bind
from harness.frameworks.jax.lazy import jax
from harness.frameworks.jax.tap import JaxTap, Leaf, Loop, is_tapped, site_of
from harness.tape import NORMAL, UNIFORM

_JIT = ("jit", "pjit")
_REMAT = ("checkpoint", "remat", "remat2")

Keep = Callable[[Any], bool]
Source = Optional[Iterator[Any]]


def _inner(params: Dict[str, Any]) -> List[Any]:
    """The jaxprs among an equation's parameters, opened."""
    found = []
    for value in params.values():
        for item in value if isinstance(value, (tuple, list)) else (value,):
            opened = getattr(item, "jaxpr", item)
            if hasattr(opened, "eqns"):
                found.append(opened)
    return found


def live(jaxpr: Any) -> List[Any]:
    """The equations that the results depend on, or that have effects, in order.

    Linen's scan, for one, traces its body once more to see what does not change from step to step, which leaves draws that
    nothing uses: no compiler keeps them, and no mask is made of them.
    """
    needed = {id(atom) for atom in jaxpr.outvars}
    kept = []
    for eqn in reversed(jaxpr.eqns):
        if eqn.effects or any(id(variable) in needed for variable in eqn.outvars):
            kept.append(eqn)
            needed.update(id(atom) for atom in eqn.invars)
    return kept[::-1]


def find(jaxpr: Any, tapped: Keep = is_tapped) -> List[Leaf]:
    """Where a jaxpr draws, in order. `tapped` says which keys count.

    Raises Unsupported for draws inside `while`, `cond` or a function with a derivative rule of its own: how often they
    happen is not known beforehand, or opening them would lose the rule.
    """
    return [_below(number, leaf) for number, eqn in enumerate(live(jaxpr)) for leaf in _leaves(eqn, tapped)]


def _below(part: Union[int, Loop], leaf: Leaf) -> Leaf:
    return leaf._replace(path=(part, *leaf.path))


def _leaves(eqn: Any, tapped: Keep) -> List[Leaf]:
    """Where an equation draws; a name scope around it that names a site is the scope of all its draws."""
    leaves = _unscoped(eqn, tapped)
    scope = str(eqn.source_info.name_stack)
    if not leaves or site_of(scope) is None:
        return leaves
    return [leaf._replace(scope="%s/%s" % (scope, leaf.scope)) for leaf in leaves]


def _unscoped(eqn: Any, tapped: Keep) -> List[Leaf]:
    name = eqn.primitive.name
    if name == "random_bits" or _is_normal(eqn):
        if not (eqn.invars and tapped(eqn.invars[0].aval)):
            return []
        aval = eqn.outvars[0].aval
        kind = UNIFORM if name == "random_bits" else NORMAL
        return [Leaf(kind, 8 * aval.dtype.itemsize, aval.dtype.name, tuple(int(size) for size in aval.shape))]
    inner = enumerate(_inner(eqn.params))
    leaves = [_below(number, leaf) for number, jaxpr in inner for leaf in find(jaxpr, tapped)]
    if not leaves or name in _JIT or name in _REMAT or name == "closed_call":
        return leaves
    if name == "scan":
        loop = Loop(int(eqn.params["length"]), bool(eqn.params["reverse"]))
        return [_below(loop, leaf) for leaf in leaves]
    raise Unsupported("draws inside `%s`, where the tap cannot follow" % name)


def _is_normal(eqn: Any) -> bool:
    return eqn.primitive.name in _JIT and eqn.params["name"] == NORMAL_FUNCTION


class Interpreter:
    """Evaluates jaxprs with the border open. `cache` keeps what is jitted inside, for evaluations outside of `jit`."""

    def __init__(self, tapped: Keep = is_tapped) -> None:
        self.tapped = tapped
        self._jitted: Dict[Tuple[int, bool], Any] = {}
        self._leaves: Dict[int, Tuple[Any, List[Leaf]]] = {}

    def leaves(self, eqn: Any) -> List[Leaf]:
        """Where an equation draws, found once."""
        if id(eqn) not in self._leaves:
            # The equation is kept beside the result: a live object's id stays its own.
            self._leaves[id(eqn)] = (eqn, _leaves(eqn, self.tapped))
        return self._leaves[id(eqn)][1]

    def evaluate(
        self, jaxpr: Any, consts: Sequence[Any], arguments: Sequence[Any], source: Source
    ) -> Tuple[List[Any], List[Any]]:
        """Return the results and the draws, one a leaf; `source` gives what to use instead of drawing."""
        environment = dict(zip(list(jaxpr.constvars) + list(jaxpr.invars), list(consts) + list(arguments)))
        drawn: List[Any] = []

        def read(atom: Any) -> Any:
            return atom.val if hasattr(atom, "val") else environment[atom]

        for eqn in live(jaxpr):
            values = [read(atom) for atom in eqn.invars]
            count = len(self.leaves(eqn))
            if not count:
                results = bind(eqn, values)
            else:
                results, fresh = self._open(eqn, values, count, source)
                drawn.extend(fresh)
            environment.update(zip(eqn.outvars, results))
        return [read(atom) for atom in jaxpr.outvars], drawn

    def _open(self, eqn: Any, values: Sequence[Any], count: int, source: Source) -> Tuple[List[Any], List[Any]]:
        """The results of an equation that draws `count` times, and the draws."""
        name = eqn.primitive.name
        if name == "random_bits" or _is_normal(eqn):
            result = bind(eqn, values)[0] if source is None else next(source)
            return [result], [result]
        tape = None if source is None else [next(source) for _ in range(count)]
        if name == "scan":
            return self._scan(eqn, values, tape)
        closed = eqn.params.get("jaxpr", eqn.params.get("call_jaxpr"))
        if name in _JIT:
            return self._call(closed, values, tape)
        return self._remat(eqn, closed, values, tape)

    def _inside(self, closed: Any) -> Callable[[Sequence[Any], Optional[Sequence[Any]]], Tuple[List[Any], List[Any]]]:
        """A closed or open jaxpr as a function of (arguments, tape)."""
        jaxpr, consts = getattr(closed, "jaxpr", closed), getattr(closed, "consts", ())

        def function(arguments: Sequence[Any], tape: Optional[Sequence[Any]]) -> Tuple[List[Any], List[Any]]:
            return self.evaluate(jaxpr, consts, arguments, None if tape is None else iter(tape))

        return function

    def _call(self, closed: Any, values: Sequence[Any], tape: Optional[Sequence[Any]]) -> Tuple[List[Any], List[Any]]:
        identity = (id(closed), tape is None)
        if identity not in self._jitted:
            self._jitted[identity] = (closed, jax.jit(self._inside(closed)))
        results, drawn = self._jitted[identity][1](values, tape)
        return list(results), list(drawn)

    def _remat(
        self, eqn: Any, closed: Any, values: Sequence[Any], tape: Optional[Sequence[Any]]
    ) -> Tuple[List[Any], List[Any]]:
        function = self._inside(closed)
        if eqn.primitive.name in _REMAT:
            function = jax.checkpoint(
                function, prevent_cse=eqn.params.get("prevent_cse", True), policy=eqn.params.get("policy")
            )
        results, drawn = function(values, tape)
        return list(results), list(drawn)

    def _scan(self, eqn: Any, values: Sequence[Any], tape: Optional[Sequence[Any]]) -> Tuple[List[Any], List[Any]]:
        params = eqn.params
        body = self._inside(params["jaxpr"])
        first, second = params["num_consts"], params["num_consts"] + params["num_carry"]
        consts, start, sequences = list(values[:first]), list(values[first:second]), list(values[second:])

        def step(carry: Any, given: Any) -> Any:
            slices, tape_slices = given
            results, drawn = body(consts + list(carry) + list(slices), tape_slices)
            return results[: params["num_carry"]], (results[params["num_carry"] :], drawn)

        carry, (stacked, drawn) = jax.lax.scan(
            step,
            start,
            (sequences, tape),
            length=params["length"],
            reverse=params["reverse"],
            unroll=params.get("unroll", 1),
        )
        return list(carry) + list(stacked), list(drawn)


class Program:
    """`function(key, arrays) -> outputs`, traced for one set of shapes, run with any seed, arrays and tape.

    function   takes a key and a dict of arrays, returns a dict of arrays; it must be traceable. An output whose name starts
               with `_` is not returned: it keeps alive a draw that no other output depends on.
    key, arrays  examples whose shapes and dtypes count.
    compile    true: `jax.jit` around the whole, gradients included; false: operation by operation.
    tapped     which keys count; by default those of `tap.key`.
    Raises Unsupported where the function draws in a place that the tap cannot follow.
    """

    def __init__(
        self,
        function: Callable[[Any, Dict[str, Any]], Dict[str, Any]],
        key: Any,
        arrays: Dict[str, Any],
        compile: bool = True,
        tapped: Keep = is_tapped,
    ) -> None:
        self._closed, shapes = jax.make_jaxpr(function, return_shape=True)(key, arrays)
        self._tree = jax.tree_util.tree_structure(shapes)
        self._shapes = shapes
        self._tapped = tapped
        self.leaves = find(self._closed.jaxpr, tapped)
        self._interpreter = Interpreter(tapped)
        wrap = jax.jit if compile else (lambda plain: plain)
        self._forward = wrap(self._evaluate)
        self._backward = wrap(self._differentiate)

    def elsewhere(self) -> List[str]:
        """What the program draws from keys that do not count, as `uniform (4, 7)`; the results depend on it."""
        try:
            found = find(self._closed.jaxpr, lambda aval: not self._tapped(aval))
        except Unsupported as error:
            return [str(error)]
        return ["%s %s" % (leaf.kind, leaf.shape) for leaf in found]

    def _evaluate(self, tape: Optional[Sequence[Any]], key: Any, arrays: Dict[str, Any]) -> Tuple[Any, List[Any]]:
        flat = jax.tree_util.tree_leaves((key, arrays))
        source = None if tape is None else iter(tape)
        results, drawn = self._interpreter.evaluate(self._closed.jaxpr, self._closed.consts, flat, source)
        return jax.tree_util.tree_unflatten(self._tree, results), drawn

    def _differentiate(
        self,
        tape: Optional[Sequence[Any]],
        key: Any,
        arrays: Dict[str, Any],
        rest: Dict[str, Any],
        cotangents: Dict[str, Any],
    ) -> Any:
        def forward(floats: Dict[str, Any]) -> Any:
            return self._evaluate(tape, key, dict(floats, **rest))

        outputs, pull, drawn = jax.vjp(forward, arrays, has_aux=True)
        return outputs, drawn, pull(cotangents)[0]

    def run(
        self, key: Any, arrays: Dict[str, np.ndarray], cotangents: Dict[str, np.ndarray], tap: JaxTap
    ) -> Tuple[Dict[str, Any], Dict[str, Any]]:
        """Return outputs and, where there are cotangents, the gradients of sum(cotangent * output) by array name.

        Arrays of integers have no gradient. Draws go to the tap, or come from it. Raises TapeMismatch, and ValueError for a
        cotangent of no output.
        """
        tape = tap.arguments(self.leaves)
        gradients: Dict[str, Any] = {}
        if not cotangents:
            outputs, drawn = self._forward(tape, key, arrays)
        else:
            unknown = sorted(set(cotangents) - set(self._shapes))
            if unknown:
                raise ValueError("cotangents for %s, which the layer does not return" % ", ".join(unknown))
            filled = {}
            for name, shape in self._shapes.items():
                given = cotangents.get(name)
                filled[name] = np.zeros(shape.shape, shape.dtype) if given is None else given.astype(shape.dtype)
            floats = {name: array for name, array in arrays.items() if array.dtype.kind not in "iub"}
            rest = {name: array for name, array in arrays.items() if name not in floats}
            outputs, drawn, gradients = self._backward(tape, key, floats, rest, filled)
        tap.record(self.leaves, drawn)
        return {name: value for name, value in outputs.items() if not name.startswith("_")}, dict(gradients)
