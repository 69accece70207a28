"""How a program is called: as its users call it, by the names of its own parameters.

A parameter is given an input of its name; `inputs` gets all of them as a dict; `training` or `train` a bool, `deterministic` its
contrary, `mode` "train" or "eval", `seed` the seed, `weights` the weights brought from the other program. What is left over of
the inputs goes by position, in the order given.
"""

import inspect
from typing import Any, Dict, List, Tuple

from harness.frameworks.contract.programs import ProgramError

Call = Tuple[List[Any], Dict[str, Any]]


def words(mode: str, seed: int) -> Dict[str, Any]:
    """What a parameter of one of these names is given."""
    train = mode == "train"
    return {
        "training": train,
        "train": train,
        "is_training": train,
        "deterministic": not train,
        "mode": mode,
        "seed": seed,
    }


def arguments(function: Any, inputs: Dict[str, Any], known: Dict[str, Any], what: str) -> Call:
    """(positional, named) arguments of a call. Raises ProgramError where inputs and parameters do not fit; says both lists."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return list(inputs.values()), {}
    named: Dict[str, Any] = {}
    free = []
    starred = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)
    anything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        name = parameter.name
        if name in inputs:
            named[name] = inputs[name]
        elif name == "inputs" and len(inputs) != 1:
            named[name] = dict(inputs)
        elif name in known:
            named[name] = known[name]
        else:
            free.append(parameter)
    left = [name for name in inputs if name not in named] if not isinstance(named.get("inputs"), dict) else []
    required = [parameter.name for parameter in free if parameter.default is parameter.empty]
    if left and len(left) <= len(free) and len(required) <= len(left):
        # Whatever has no name of its own goes in order, as a model with one input is called.
        for name, parameter in zip(left, free):
            named[parameter.name] = inputs[name]
        left, required = [], []
    if (left and not starred and not anything) or required:
        takes = ", ".join(parameter.name for parameter in parameters) or "nothing"
        raise ProgramError("%s takes (%s); the inputs are: %s" % (what, takes, ", ".join(inputs) or "none"))
    if anything:
        named.update((name, inputs[name]) for name in left)
        left = []
    if any(parameter.kind is parameter.POSITIONAL_ONLY for parameter in parameters):
        order = [parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_ONLY]
        return [named.pop(name) for name in order if name in named], named
    return [inputs[name] for name in left], named


def needs_inputs(function: Any, inputs: Dict[str, Any]) -> bool:
    """Whether a function takes any of the inputs; one that takes none makes a model."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return True
    free = [p for p in parameters if p.default is p.empty and p.name not in ("seed", "mode", "training", "train")]
    return any(p.name in inputs or p.name == "inputs" for p in parameters) or bool(free)
