"""A JAX program under observation: a function, a Linen module with its variables, an nnx module, an Equinox module.

A function is called by the names of its parameters; `key` (or `rng`) is the key of the request's seed, `rngs` a dict that has it
under every name. What makes a model returns one, or (Linen module, variables).
"""

import contextlib
import sys
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from harness.frameworks.contract import keras_models, users
from harness.frameworks.contract.calling import arguments, words
from harness.frameworks.contract.making import Generators, global_seeds, thing_of
from harness.frameworks.contract.own_files import TargetError
from harness.frameworks.contract.programs import ProgramError, Request, Trace, cotangent, deviation, flattened, weighed
from harness.frameworks.jax.watching import Value, Watcher
from harness.tape import TapeMismatch

#: Linen's collections that a call in training changes, where the variables have them.
CHANGING = ("batch_stats",)


class Model(NamedTuple):
    """A program as a pure function.

    call        (key, arrays, inputs) -> (returned, changed arrays).
    arrays      what it is made of: parameters and states, by name.      states  those that a call may change.
    """

    call: Callable[[Any, Dict[str, Any], Dict[str, Any]], Tuple[Any, Dict[str, Any]]]
    arrays: Dict[str, Any]
    states: Tuple[str, ...] = ()


def observe(target: Any, request: Request) -> Trace:
    """Call a program and write down what it does. Raises ProgramError with the user's own lines."""
    import jax

    watcher = Watcher(request.tape, request.noise if request.noise else -1, request.values)
    try:
        model = _model(target, request)
        generators = Generators()
        arrays = {
            name: jax.numpy.asarray((request.weights or {}).get(name, value)) for name, value in model.arrays.items()
        }
        inputs = {name: jax.numpy.asarray(value) for name, value in request.inputs.items()}
        trace = _watched(model, watcher, request, arrays, inputs)
        watcher.finished()
    except TapeMismatch as error:
        raise ProgramError(str(error)) from error
    except TargetError as error:
        raise ProgramError(str(error), error.detail) from error
    except ProgramError:
        raise
    except (Exception, SystemExit) as error:
        raise ProgramError(users.said(error), users.own_lines(error)) from error
    trace.notes.extend(generators.notes())
    return trace


def _weights(output: Any, number: Optional[int]) -> Any:
    """What an output's elements weigh in the sum whose gradient is taken; None: nothing."""
    import jax
    import jax.numpy as jnp

    if not jnp.issubdtype(output.dtype, jnp.floating):
        return np.zeros(output.shape, jax.dtypes.float0)
    return jnp.zeros_like(output) if number is None else jnp.asarray(cotangent(output.shape, number), output.dtype)


def _watched(model: Model, watcher: Watcher, request: Request, arrays: Dict[str, Any], inputs: Dict[str, Any]) -> Trace:
    import jax
    import jax.numpy as jnp

    names: Dict[str, List[str]] = {}

    def is_array(item: Any) -> bool:
        return isinstance(item, (jax.Array, np.ndarray))

    def program(key: Any, floats: Dict[str, Any], rest: Dict[str, Any]) -> Any:
        given = {name: value for part in (floats, rest) for name, value in part.items()}
        mine = {name: given["weight/" + name] for name in arrays}
        theirs = {name: given["input/" + name] for name in inputs}
        returned, changed = model.call(key, mine, theirs)
        outputs = {name: jnp.asarray(value) for name, value in flattened(returned, is_array).items()}
        if not outputs:
            raise ProgramError("returned no array")
        names["outputs"] = list(outputs)
        names["states"] = list(changed)
        return list(outputs.values()), list(changed.values())

    def whole(key: Any, floats: Dict[str, Any], rest: Dict[str, Any]) -> Any:
        if not request.gradients:
            return (*program(key, floats, rest), {})
        outputs, pull, changed = jax.vjp(lambda f: program(key, f, rest), floats, has_aux=True)
        numbers = weighed(names["outputs"], request.outputs)
        weights = [_weights(out, numbers.get(name)) for name, out in zip(names["outputs"], outputs)]
        return outputs, changed, pull(weights)[0]

    floats: Dict[str, Any] = {}
    rest: Dict[str, Any] = {}
    for prefix, part in (("weight/", arrays), ("input/", inputs)):
        for name, value in part.items():
            wanted = jnp.issubdtype(value.dtype, jnp.floating) and name not in model.states
            (floats if wanted else rest)[prefix + name] = value
    key = jax.random.key(request.seed)
    closed, shapes = jax.make_jaxpr(whole, return_shape=True)(key, floats, rest)
    flat = [Value(value) for value in jax.tree_util.tree_leaves((key, floats, rest))]
    results = watcher.evaluate(closed.jaxpr, closed.consts, flat)
    outputs, changed, gradients = jax.tree_util.tree_unflatten(jax.tree_util.tree_structure(shapes), results)
    return _trace(watcher, dict(zip(names["outputs"], outputs)), dict(zip(names["states"], changed)), gradients, arrays)


def _trace(
    watcher: Watcher,
    outputs: Dict[str, Value],
    changed: Dict[str, Value],
    gradients: Dict[str, Value],
    arrays: Dict[str, Any],
) -> Trace:
    clean: List[Dict[str, np.ndarray]] = [{}, {}, {}]
    sensitivity: Dict[str, float] = {}
    if watcher.count:
        for into, prefix, part in zip(clean, ("", "gradient/", "state/"), (outputs, gradients, changed)):
            for name, value in part.items():
                if value.shadows is not None:
                    into[name] = value.shadows[0]
                    sensitivity[prefix + name] = deviation(value.shadows[1:], value.shadows[0])
    wide = np.zeros((0, watcher.prints[0].size)) if watcher.prints else np.zeros((0, 0))
    return Trace(
        draws=watcher.draws,
        steps=watcher.steps,
        outputs={name: np.asarray(value.real) for name, value in outputs.items()},
        clean=clean[0],
        sensitivity=sensitivity,
        gradients={name: np.asarray(value.real) for name, value in gradients.items()},
        clean_gradients=clean[1],
        prints=np.array(watcher.prints) if watcher.prints else wide,
        clean_prints=np.array(watcher.clean) if watcher.clean else wide,
        spread=np.array(watcher.spread),
        output_steps={name: value.step for name, value in outputs.items() if value.step >= 0},
        parameters={name: np.asarray(value) for name, value in arrays.items()},
        state={name: np.asarray(value.real) for name, value in changed.items()},
        notes=["%s has no float64 run" % operation for operation in watcher.lost],
        clean_state=clean[2],
    )


def _model(target: Any, request: Request) -> Model:
    thing, name = thing_of(target, request.inputs, _is_model)
    if isinstance(thing, tuple) and len(thing) == 2:
        return _linen(thing[0], thing[1], request, name)
    if keras_models.is_keras(thing):
        return _keras(thing, request)
    kinds = {"%s.%s" % (cls.__module__, cls.__name__) for cls in type(thing).__mro__}
    if any(kind.startswith("flax.nnx.") for kind in kinds):
        return _nnx(thing, request, name)
    if any(kind.startswith("equinox.") for kind in kinds):
        return _equinox(thing, request, name)
    if any(kind.startswith("flax.linen.") for kind in kinds):
        raise ProgramError("%s is a Linen module without variables: give (module, variables)" % name)
    if not callable(thing):
        raise ProgramError("%s is %s, which cannot be called" % (name, type(thing).__name__))

    def call(key: Any, _: Dict[str, Any], inputs: Dict[str, Any]) -> Tuple[Any, Dict[str, Any]]:
        positional, named = arguments(thing, inputs, _known(request, key), name)
        with _stateless(()):
            return thing(*positional, **named), {}

    return Model(call, {})


@contextlib.contextmanager
def _stateless(values: Sequence[Tuple[Any, Any]]) -> Iterator[Any]:
    """What Keras assigns while JAX traces goes to a scope of its own; without Keras there is none."""
    keras = sys.modules.get("keras")
    if not hasattr(keras, "StatelessScope"):
        yield None
        return
    with keras.StatelessScope(state_mapping=list(values)) as scope:  # type: ignore[union-attr]
        yield scope


def _keras(thing: Any, request: Request) -> Model:
    """A Keras 3 model: its variables by their paths; its seed generators begin from the request's key."""
    import jax

    keras_models.require(thing, "jax")
    with global_seeds():
        keras_models.build(thing, {name: jax.numpy.asarray(value) for name, value in request.inputs.items()})
    variables = keras_models.variables(thing)
    seeds = keras_models.seeds(thing)
    states = tuple(path for path, variable in variables.items() if not variable.trainable)

    def call(key: Any, given: Dict[str, Any], inputs: Dict[str, Any]) -> Tuple[Any, Dict[str, Any]]:
        pairs = [(variable, given[path]) for path, variable in variables.items()]
        for number, variable in enumerate(seeds):
            pairs.append((variable, jax.random.key_data(jax.random.fold_in(key, number)).astype(variable.dtype)))
        positional, named = keras_models.arguments(thing, inputs, request.mode == "train")
        with _stateless(pairs) as scope:
            returned = thing(*positional, **named)
        after = {path: scope.get_current_value(variables[path]) for path in states}
        return returned, after if request.mode == "train" else {}

    return Model(call, {path: variable.value for path, variable in variables.items()}, states)


def _is_model(thing: Any) -> bool:
    if keras_models.is_keras(thing):
        return True
    kinds = {cls.__module__ for cls in type(thing).__mro__}
    return any(kind.startswith(("flax.", "equinox.")) for kind in kinds) and not isinstance(thing, type)


def _known(request: Request, key: Any) -> Dict[str, Any]:
    known = dict(words(request.mode, request.seed), key=key, rng=key, weights=request.weights)
    known["rngs"] = {"dropout": key}
    return known


def _own_mode(request: Request, key: Any) -> Dict[str, Any]:
    """What a module is given that knows its mode and its streams itself."""
    return {name: value for name, value in _known(request, key).items() if name not in ("deterministic", "rngs")}


def _flat(tree: Any, prefix: str = "") -> Dict[str, Any]:
    """Nested dicts of arrays by dotted names."""
    found: Dict[str, Any] = {}
    for name, value in tree.items():
        path = "%s.%s" % (prefix, name) if prefix else str(name)
        if hasattr(value, "items"):
            found.update(_flat(value, path))
        else:
            found[path] = value
    return found


def _nested(flat: Dict[str, Any]) -> Dict[str, Any]:
    tree: Dict[str, Any] = {}
    for path, value in flat.items():
        *folders, name = path.split(".")
        here = tree
        for folder in folders:
            here = here.setdefault(folder, {})
        here[name] = value
    return tree


def _linen(module: Any, variables: Any, request: Request, name: str) -> Model:
    """A Linen module: its parameters by their path, other collections by collection and path."""
    variables = dict(variables) if "params" in variables else {"params": dict(variables)}
    changing = [each for each in CHANGING if each in variables and request.mode == "train"]
    arrays = _flat(variables["params"])
    others = _flat({each: tree for each, tree in variables.items() if each != "params"})
    arrays.update(others)

    def call(key: Any, given: Dict[str, Any], inputs: Dict[str, Any]) -> Tuple[Any, Dict[str, Any]]:
        tree = {"params": _nested({path: value for path, value in given.items() if path not in others})}
        tree.update(_nested({path: value for path, value in given.items() if path in others}))
        positional, named = arguments(type(module).__call__.__get__(module), inputs, _known(request, key), name)
        rngs = dict.fromkeys(("dropout", "params", "default"), key) if request.mode == "train" else {"dropout": key}
        if not changing:
            return module.apply(tree, *positional, rngs=rngs, **named), {}
        returned, changed = module.apply(tree, *positional, rngs=rngs, mutable=changing, **named)
        return returned, _flat(changed)

    return Model(call, arrays, tuple(others))


def _nnx(module: Any, request: Request, name: str) -> Model:
    """An nnx module: its streams start anew from the request's key."""
    import jax
    from flax import nnx

    (module.train if request.mode == "train" else module.eval)()
    graph, streams, parameters, rest = nnx.split(module, nnx.RngState, nnx.Param, ...)
    arrays, others = _leaves(parameters), _leaves(rest)

    def call(key: Any, given: Dict[str, Any], inputs: Dict[str, Any]) -> Tuple[Any, Dict[str, Any]]:
        keys, tree = jax.tree_util.tree_flatten(streams)
        fresh = [
            jax.random.fold_in(key, number) if jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf * 0
            for number, leaf in enumerate(keys)
        ]
        parts = [
            jax.tree_util.tree_unflatten(tree, fresh),
            *(
                jax.tree_util.tree_unflatten(jax.tree_util.tree_structure(state), [given[name] for name in names])
                for state, names in ((parameters, arrays), (rest, others))
            ),
        ]
        merged = nnx.merge(graph, *parts)
        positional, named = arguments(type(merged).__call__.__get__(merged), inputs, _own_mode(request, key), name)
        returned = merged(*positional, **named)
        after = nnx.split(merged, nnx.RngState, nnx.Param, ...)[3]
        return returned, _leaves(after) if request.mode == "train" else {}

    return Model(call, {**arrays, **others}, tuple(others))


def _leaves(state: Any) -> Dict[str, Any]:
    """The arrays of an nnx state by their dotted paths, in the order of its leaves."""
    import jax

    found, _ = jax.tree_util.tree_flatten_with_path(state)
    named = {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in found}
    return {name[: -len(".value")] if name.endswith(".value") else name: leaf for name, leaf in named.items()}


def _equinox(module: Any, request: Request, name: str) -> Model:
    """An Equinox module: its float arrays by their path; it is given the request's key where it takes one."""
    import equinox
    import jax

    module = equinox.nn.inference_mode(module, value=request.mode == "eval")
    dynamic, static = equinox.partition(module, equinox.is_inexact_array)
    leaves, tree = jax.tree_util.tree_flatten_with_path(dynamic)
    arrays = {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}

    def call(key: Any, given: Dict[str, Any], inputs: Dict[str, Any]) -> Tuple[Any, Dict[str, Any]]:
        merged = equinox.combine(jax.tree_util.tree_unflatten(tree, [given[path] for path in arrays]), static)
        positional, named = arguments(type(merged).__call__.__get__(merged), inputs, _own_mode(request, key), name)
        return merged(*positional, **named), {}

    return Model(call, arrays)
