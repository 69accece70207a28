"""The equations of a jaxpr: what kinds there are, and how one is applied, as it stands or in float64."""

import re
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from harness.frameworks.contract import users
from harness.frameworks.contract.programs import ABOVE, BELOW
from harness.frameworks.jax.lazy import precision

#: Equations that call a jaxpr of their own.
CALLS = frozenset([
    "jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint", "custom_jvp_call",
    "custom_vjp_call",
])  # fmt: skip
#: jitted functions of jax.random whose results are draws: uniforms, and real standard normals.
UNIFORM_FUNCTION, NORMAL_FUNCTION = "_uniform", "_normal_real"
#: What gives its input's numbers in another order or format: no step of a program.
MOVES = frozenset([
    "reshape", "transpose", "broadcast_in_dim", "squeeze", "expand_dims", "slice", "rev", "copy", "copy_p", "split",
    "stop_gradient", "convert_element_type", "dynamic_slice", "optimization_barrier", "sharding_constraint",
])  # fmt: skip
#: What rounds nothing.
EXACT = MOVES | frozenset([
    "concatenate", "pad", "gather", "select_n", "max", "min", "neg", "abs", "reduce_max", "reduce_min", "iota",
    "sign", "floor", "ceil", "round", "clamp", "scatter", "dynamic_update_slice", "sort", "scatter-add",
    "select_and_scatter_add",
])  # fmt: skip
#: Sums of products, whose error is u times the sum of the absolute terms.
PRODUCTS = frozenset([
    "dot_general", "conv_general_dilated", "reduce_sum", "cumsum", "reduce_window_sum",
])  # fmt: skip
#: jitted functions of JAX's own whose names have no underscore.
LIBRARY = frozenset([
    "clip", "gelu", "silu", "relu", "relu6", "elu", "selu", "celu", "glu", "softplus", "log_softmax", "softmax",
    "leaky_relu", "logsumexp", "norm",
])  # fmt: skip
#: How a uniform on the left decides.
COMPARED = {"lt": BELOW, "le": BELOW, "ge": ABOVE, "gt": ABOVE}


def line(eqn: Any) -> Tuple[str, str]:
    """The user's line that an equation comes from."""
    traceback = eqn.source_info.traceback
    for frame in traceback.frames if traceback is not None else ():
        if users.is_users(frame.file_name):
            return users.place(frame.file_name, frame.line_num)
    return "", ""


def plain_scope(scope: str) -> str:
    """A name stack without the words of transformations: `jvp(M)/Dropout_0` is `M/Dropout_0`."""
    return re.sub(r"\b(?:jvp|transpose|vmap|checkpoint|remat)\(([^()]*)\)", r"\1", scope).replace("()", "")


def takes_key(eqn: Any) -> bool:
    """Whether an equation's first operand is a typed key."""
    import jax
    import jax.numpy as jnp

    aval = eqn.invars[0].aval
    return bool(jnp.issubdtype(aval.dtype, jax.dtypes.prng_key))


def is_float(item: Any) -> bool:
    """Whether something is an array of floats."""
    import jax.numpy as jnp

    return hasattr(item, "dtype") and bool(jnp.issubdtype(item.dtype, jnp.floating))


def bound(eqn: Any) -> Tuple[List[Any], Dict[str, Any]]:
    """What an equation's primitive is called with beside its values: functions, and parameters by name."""
    given = eqn.primitive.get_bind_params(eqn.params)
    # jax < 0.8 gives (functions, parameters), later versions the parameters alone.
    functions, params = given if isinstance(given, tuple) else ((), given)
    return list(functions), params


def bind(eqn: Any, values: Sequence[Any]) -> List[Any]:
    """Apply one equation as it stands, in the context that it was traced in."""
    functions, params = bound(eqn)
    with eqn.ctx.manager:
        result = eqn.primitive.bind(*functions, *values, **params)
    return list(result) if eqn.primitive.multiple_results else [result]


def bind_wide(eqn: Any, values: Sequence[Any]) -> List[Any]:
    """An equation on float64 values: what it says of float dtypes is widened."""
    import jax
    import jax.numpy as jnp

    functions, params = bound(eqn)
    wide = {}
    for name, value in params.items():
        floating = isinstance(value, (np.dtype, type)) and jnp.issubdtype(value, jnp.floating)
        wide[name] = np.dtype("float64") if floating else value
    with precision("float64"):
        given = [jnp.asarray(value) for value in values]
        if eqn.primitive.name == "scatter-add":
            # Its parameters hold a function of the narrow dtype.
            kept = {
                name: params[name] for name in ("dimension_numbers", "indices_are_sorted", "unique_indices", "mode")
            }
            return [np.asarray(jax.lax.scatter_add(*given, **kept))]
        result = eqn.primitive.bind(*functions, *given, **wide)
        results = list(result) if eqn.primitive.multiple_results else [result]
        return [np.asarray(item) if is_float(item) else item for item in results]


def evaluate_plain(closed: Any, values: Sequence[Any]) -> List[Any]:
    """The results of a closed jaxpr as JAX itself evaluates it."""
    import jax

    return list(jax.core.eval_jaxpr(closed.jaxpr, closed.consts, *values))
