"""LSTMs in plain TensorFlow, as `lstm` and `encoder_decoder`: the fused `tf.raw_ops.BlockLSTM`, and a loop of formulas.

https://www.tensorflow.org/api_docs/python/tf/raw_ops/BlockLSTM . Neither op nor loop has a dropout of its own: masks are
`tf.nn.dropout` of ones, of the shape that the case's site asks for, one draw a site and half. At rate 1 the mask is zeros
and nothing is drawn, for tf.nn.dropout refuses it.

Import policy: TensorFlow is imported inside functions only.
"""

from typing import Any, Callable, Dict, List, Optional, Tuple

from harness.frameworks.contract.adapter import Job, implementation
from harness.frameworks.contract.capabilities import ANY, Shared
from harness.frameworks.contract.geometry import HALVES, Geometry, outputs_of
from harness.frameworks.contract.places import place_of
from harness.frameworks.tensorflow.base import Network, TensorFlowAdapter, Tensors
from harness.frameworks.tensorflow.graphs import igfo
from harness.frameworks.tensorflow.stack import WEIGHTS
from harness.noises import Site, whole_slots
from harness.tape import Slot

SITES = ("input", "state.h", "state.c", "between_layers", "output")

#: The part of a mask by its site's name at the numbers of some axes, or None.
Part = Callable[..., Any]


def on_halves(*sites: str) -> Tuple[str, ...]:
    """Sites of a single stack, and of an encoder and decoder."""
    return tuple(half + site for half in ("", *(half for half, _ in HALVES)) for site in sites)


class Recurrent(TensorFlowAdapter):
    """Stacks of layers around `layer`, which subclasses write."""

    def slots(self, job: Job) -> List[Slot]:
        sites = [job.drawing(stack.at(name)) for stack in job.stacks for name in SITES]
        return [slot for site in sites if site is not None for slot in whole_slots(site)]

    def layer(self, tf: Any, x: Any, state: List[Any], weights: Tuple[Any, ...], mask: Part) -> Any:
        """Run one layer: x (B, T, I), state h and c (B, H); return every h (B, T, H) and the last c (B, H)."""
        raise NotImplementedError

    def masks(self, tf: Any, job: Job, stack: Geometry) -> Part:
        """The scaled masks of one stack, drawn in the order of SITES."""
        drawn: Dict[str, Tuple[Site, Any]] = {}
        for name in SITES:
            site = job.acting(stack.at(name))
            if site is not None:
                ones = tf.ones(site.shape, job.dtype)
                drawn[site.at] = site, tf.nn.dropout(ones, rate=site.rate) if site.active else tf.zeros_like(ones)

        def part(at: str, **where: int) -> Any:
            if at not in drawn:
                return None
            site, mask = drawn[at]
            return mask[place_of(site, **where)]

        return part

    def run_stack(self, tf: Any, job: Job, stack: Geometry, variables: Tensors, x: Any, state: Any) -> Any:
        """Run one stack from its state, h and c by layer; returns the emitted sequence and the last state."""
        masks = self.masks(tf, job, stack)
        last: List[Any] = []
        for layer, before in enumerate(zip(*state)):
            weights = tuple(variables[stack.prefix(layer) + name] for name in WEIGHTS)

            def mask(name: str, layer: int = layer, **where: int) -> Any:
                return None if layer and name == "input" else masks(stack.at(name), layers=layer, **where)

            x, c = self.layer(tf, x, [part for (part,) in before], weights, mask)
            last.append(([x[:, -1]], [c]))
            x = times(x, masks(stack.above(layer), layers=layer))
        return x, [list(rows) for rows in zip(*last)]

    def network(self, tf: Any, job: Job) -> Network:
        variables = {name: tf.Variable(array, dtype=job.dtype) for name, array in job.weights.items()}

        def forward(inputs: Tensors) -> Tensors:
            (first, *_), last = job.stacks, []
            given = [inputs.get(name + "0") for name in first.states]
            zeros = tf.zeros(first.state_shape("h"), job.dtype)
            state = [first.parted(zeros if part is None else part) for part in given]
            for stack in job.stacks:
                y, state = self.run_stack(tf, job, stack, variables, inputs[stack.sequence], state)
                last.append([stack.joined(rows, tf.stack) for rows in state])
            return outputs_of(job.stacks, job.config, y, last, lambda parts: parts)

        return Network(variables, [], forward)


def times(x: Any, mask: Optional[Any]) -> Any:
    """X under a mask, if there is one."""
    return x if mask is None else x * mask


def affine(tf: Any, x: Any, weight: Any, mask: Optional[Any]) -> Any:
    """(m[g] * x) W_g for the gates g, side by side: (B, G H). mask (1 or G, B, F) or None."""
    if mask is None or mask.shape[0] == 1:
        return tf.matmul(x if mask is None else x * mask[0], weight)
    gates = int(mask.shape[0])
    parts = tf.split(weight, gates, axis=1)
    return tf.concat([tf.matmul(x * mask[gate], parts[gate]) for gate in range(gates)], axis=1)


@implementation("recipe.lstm_loop", ["tensorflow"], "lstm", needs=["tensorflow"], recipe=True)
@implementation("recipe.lstm_loop", ["tensorflow"], "encoder_decoder", needs=["tensorflow"], recipe=True)
class Loop(Recurrent):
    """The formulas of harness.layers.lstm, one step after another; every site with every sharing."""

    sites = on_halves(*SITES)

    def layer(self, tf: Any, x: Any, state: List[Any], weights: Tuple[Any, ...], mask: Part) -> Any:
        (h, c), (kernel, recurrent_kernel, bias) = state, weights
        emitted: List[Any] = []
        for step in range(x.shape[1]):
            z = affine(tf, x[:, step], kernel, mask("input", time=step))
            z = z + affine(tf, h, recurrent_kernel, mask("state.h", time=step)) + bias
            i, f, g, o = tf.split(z, 4, axis=1)
            c = times(c, mask("state.c", time=step))
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            h = tf.sigmoid(o) * tf.tanh(c)
            emitted.append(h)
        return tf.stack(emitted, axis=1), c


@implementation("tf.raw_ops.BlockLSTM", ["tensorflow"], "lstm", needs=["tensorflow"])
@implementation("tf.raw_ops.BlockLSTM", ["tensorflow"], "encoder_decoder", needs=["tensorflow"])
class Block(Recurrent):
    """`tf.raw_ops.BlockLSTM`: gates i, g, f, o in one kernel (I + H, 4H), time-major; no clipping, no peepholes."""

    sites = on_halves("input", "between_layers", "output")
    dtypes = ("float16", "float32")
    shared = {"input": (Shared(("gates",), ANY),)}
    because = {"input": "tf.raw_ops.BlockLSTM reads one input for all gates"}

    def layer(self, tf: Any, x: Any, state: List[Any], weights: Tuple[Any, ...], mask: Part) -> Any:
        (h, c), (kernel, recurrent_kernel, bias) = state, weights
        x = times(x, mask("input", gates=0))
        none = tf.zeros_like(h[0])
        out = tf.raw_ops.BlockLSTM(
            seq_len_max=tf.constant(int(x.shape[1]), tf.int64),
            x=tf.transpose(x, (1, 0, 2)),
            cs_prev=c,
            h_prev=h,
            w=igfo(tf, tf.concat([kernel, recurrent_kernel], axis=0)),
            wci=none,
            wcf=none,
            wco=none,
            b=igfo(tf, bias),
            forget_bias=0.0,
            cell_clip=-1.0,
            use_peephole=False,
        )
        return tf.transpose(out.h, (1, 0, 2)), out.cs[-1]
