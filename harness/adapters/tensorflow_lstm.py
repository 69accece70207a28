"""LSTMs in plain TensorFlow, as `lstm` and `encoder_decoder`: the fused `tf.raw_ops.BlockLSTM`, and a loop of formulas.

https://www.tensorflow.org/api_docs/python/tf/raw_ops/BlockLSTM . Neither op nor loop has a dropout of its own: masks are
`tf.nn.dropout` of ones, of the shape that the case's site asks for, one draw a site and half. At rate 1 the mask is zeros
and nothing is drawn, for tf.nn.dropout refuses it.

Import policy: TensorFlow is imported inside functions only.
"""

from typing import Any, Callable, Dict, List, Optional, Tuple

from harness.adapters.base import Job, Unsupported, implementation
from harness.adapters.keras3_stack import GATES, HALVES, WEIGHTS, Half, initial_state, layer_count
from harness.adapters.tensorflow_base import Network, TensorFlowAdapter, Tensors
from harness.tape import BERNOULLI, Slot

SITES = ("input", "state.h", "state.c", "between_layers", "output")

Masks = Dict[str, Any]


class Recurrent(TensorFlowAdapter):
    """Stacks of layers around `layer`, which subclasses write. `inner`: the sites that act inside a layer."""

    inner: Tuple[str, ...] = ()
    sites: Tuple[str, ...] = ()

    def halves(self, job: Job) -> List[Half]:
        """The stacks of this job: one, or the encoder and the decoder."""
        sequences = bool(job.config.get("return_sequences"))
        if job.layer == "lstm":
            return [Half(job, "x", "", sequences)]
        return [Half(job, "x", "encoder.", True), Half(job, "z", "decoder.", sequences)]

    def slots(self, job: Job) -> List[Slot]:
        found: List[Slot] = []
        for half in self.halves(job):
            for at in SITES:
                site = half.site(at)
                if site is not None and job.train and 0.0 < site.rate < 1.0:
                    found.append(Slot(site.at, BERNOULLI, tuple(site.shape), tuple(site.shape)))
        return found

    def layer(self, tf: Any, x: Any, state: Tuple[Any, Any], weights: Tuple[Any, ...], masks: Masks) -> Any:
        """Run one layer: x (B, T, I), state h and c (B, H); return every h (B, T, H) and the last c (B, H)."""
        raise NotImplementedError

    def masks(self, tf: Any, half: Half) -> Masks:
        """The scaled masks of one half by site, drawn in the order of SITES."""
        found: Masks = {}
        for at in SITES:
            site = half.site(at)
            if site is None or not half.job.train or site.rate == 0.0:
                continue
            ones = tf.ones(site.shape, half.job.dtype)
            found[at] = tf.zeros_like(ones) if site.rate == 1.0 else tf.nn.dropout(ones, rate=site.rate)
        return found

    def run_half(self, tf: Any, half: Half, x: Any, state: Any, weights: Callable[[int], Tuple[Any, ...]]) -> Any:
        """Run one stack; returns the emitted sequence and the lists of last states."""
        masks = self.masks(tf, half)
        hs: List[Any] = []
        cs: List[Any] = []
        zeros = tf.zeros((half.batch, half.units), half.job.dtype)
        for index in range(half.layers):
            inside = {at: masks[at] for at in self.inner if at in masks and (at != "input" or index == 0)}
            if half.layers > 1:
                inside = {at: mask if at == "input" else _of_layer(mask, index) for at, mask in inside.items()}
            before = (zeros, zeros) if state is None else (state[0][index], state[1][index])
            x, c = self.layer(tf, x, before, weights(index), inside)
            hs.append(x[:, -1])
            cs.append(c)
            if index < half.layers - 1 and "between_layers" in masks:
                x = x * _of_layer(masks["between_layers"], index)
        if "output" in masks:
            x = x * masks["output"]
        return x, hs, cs

    def network(self, tf: Any, job: Job) -> Network:
        variables = {name: tf.Variable(array, dtype=job.dtype) for name, array in job.weights.items()}

        def weights(prefix: str) -> Callable[[int], Tuple[Any, ...]]:
            start = "" if job.config.get("tied") else prefix
            several = layer_count(job) > 1
            return lambda index: tuple(
                variables[start + ("layer%d." % index if several else "") + name] for name in WEIGHTS
            )

        def forward(inputs: Tensors) -> Tensors:
            halves = self.halves(job)
            state = initial_state(inputs, layer_count(job))
            handed: Dict[str, Any] = {}
            y, h, c = self.run_half(tf, halves[0], inputs["x"], state, weights(halves[0].prefix))
            if len(halves) > 1:
                handed = {"encoder.h": h, "encoder.c": c}
                y, h, c = self.run_half(tf, halves[1], inputs["z"], (h, c), weights(halves[1].prefix))
            outputs = {"y": y if halves[-1].sequences else y[:, -1]}
            if job.config.get("return_state"):
                states = dict({"h": h, "c": c}, **handed)
                outputs.update(
                    (name, parts[0] if len(parts) == 1 else tf.stack(parts)) for name, parts in states.items()
                )
            return outputs

        return Network(variables, [], forward)


def _of_layer(mask: Any, index: int) -> Any:
    """One layer's part of a mask whose first axis is the layers, or is shared over them."""
    return mask[0 if mask.shape[0] == 1 else index]


def _of_step(mask: Any, step: int) -> Any:
    """One step's part of a mask (…, B, T, F) whose time axis may be shared."""
    return mask[..., 0 if mask.shape[-2] == 1 else step, :]


def _affine(tf: Any, x: Any, weight: Any, mask: Optional[Any]) -> Any:
    """(m[g] * x) W_g for the gates g, side by side: (B, 4H). mask (1 or 4, B, F) or None."""
    if mask is None:
        return tf.matmul(x, weight)
    if mask.shape[0] == 1:
        return tf.matmul(x * mask[0], weight)
    parts = tf.split(weight, GATES, axis=1)
    return tf.concat([tf.matmul(x * mask[gate], parts[gate]) for gate in range(GATES)], axis=1)


class Loop(Recurrent):
    """The formulas of harness.layers.lstm, one step after another; every site with every sharing."""

    inner = ("input", "state.h", "state.c")
    sites = SITES

    def layer(self, tf: Any, x: Any, state: Tuple[Any, Any], weights: Tuple[Any, ...], masks: Masks) -> Any:
        (h, c), (kernel, recurrent_kernel, bias) = state, weights
        emitted: List[Any] = []
        for step in range(x.shape[1]):
            here = {at: _of_step(mask, step) for at, mask in masks.items()}
            z = _affine(tf, x[:, step], kernel, here.get("input"))
            z = z + _affine(tf, h, recurrent_kernel, here.get("state.h")) + bias
            i, f, g, o = tf.split(z, GATES, axis=1)
            c = c * here["state.c"] if "state.c" in here else c
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            h = tf.sigmoid(o) * tf.tanh(c)
            emitted.append(h)
        return tf.stack(emitted, axis=1), c


class Block(Recurrent):
    """`tf.raw_ops.BlockLSTM`: gates i, g, f, o in one kernel (I + H, 4H), time-major; no clipping, no peepholes."""

    inner = ("input",)
    sites = ("input", "between_layers", "output")

    def check(self, job: Job) -> None:
        super(Block, self).check(job)
        if job.dtype not in ("float16", "float32"):
            raise Unsupported("tf.raw_ops.BlockLSTM has float16 and float32, not %s" % job.dtype)
        for half in self.halves(job):
            site = half.site("input")
            if site is not None and "gates" not in site.shared:
                raise Unsupported("tf.raw_ops.BlockLSTM reads one input for all gates")

    def layer(self, tf: Any, x: Any, state: Tuple[Any, Any], weights: Tuple[Any, ...], masks: Masks) -> Any:
        (h, c), (kernel, recurrent_kernel, bias) = state, weights
        if "input" in masks:
            x = x * masks["input"][0]
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


def igfo(tf: Any, weight: Any) -> Any:
    """Reorder the gates on the last axis from the canonical i, f, g, o to TensorFlow 1's i, g, f, o."""
    i, f, g, o = tf.split(weight, GATES, axis=-1)
    return tf.concat([i, g, f, o], axis=-1)


def _register(name: str, base: Any, recipe: bool) -> None:
    """Register one kind of layer as `lstm` and as `encoder_decoder`."""
    prefixed = tuple(half + at for half in HALVES for at in base.sites)
    pair = type("EncoderDecoder" + base.__name__, (base,), {"sites": prefixed, "__module__": __name__})
    implementation(name, ["tensorflow"], "lstm", needs=["tensorflow"], recipe=recipe)(base)
    implementation(name, ["tensorflow"], "encoder_decoder", needs=["tensorflow"], recipe=recipe)(pair)


_register("tf.raw_ops.BlockLSTM", Block, False)
_register("recipe.lstm_loop", Loop, True)
