import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray


class SequenceEncoder(eqx.Module):
    cell: eqx.nn.LSTMCell
    dropout: eqx.nn.Dropout

    def __init__(self, in_size: int, hidden: int, p: float, *, key: PRNGKeyArray):
        self.cell = eqx.nn.LSTMCell(in_size, hidden, key=key)
        self.dropout = eqx.nn.Dropout(p)

    def __call__(self, xs: Float[Array, "time feat"], *, key: PRNGKeyArray):
        xs = self.dropout(xs, key=key)
        state0 = (jnp.zeros((self.cell.hidden_size,), xs.dtype),) * 2

        def f(state, x):
            state = self.cell(x, state)
            return state, state[0]

        (h, c), hs = jax.lax.scan(f, state0, xs)
        return hs, h, c


def run(case):
    w = case.weights
    model = SequenceEncoder(
        case.inputs["x"].shape[-1], case.config["units"], case.rate("input"), key=jax.random.key(0)
    )
    where = lambda m: (m.cell.weight_ih, m.cell.weight_hh, m.cell.bias)
    model = eqx.tree_at(where, model, (w["kernel"].T, w["recurrent_kernel"].T, w["bias"]))
    model = eqx.nn.inference_mode(model, value=not case.training)
    ys, h, c = eqx.filter_vmap(lambda xs: model(xs, key=case.key))(case.inputs["x"])
    return {"y": ys, "h": h, "c": c}
