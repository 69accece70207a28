"""TensorFlow 1's cells as `encoder_decoder`: two runs of dynamic_rnn or static_rnn, the second from the state of the first.

https://github.com/tensorflow/tensorflow/blob/v1.8.0/tensorflow/python/ops/rnn.py (`initial_state`). Each half is the stack of
wrapped cells of harness.adapters.tensorflow1_cells, with its options and sites; the state that is handed over is each layer's
LSTMStateTuple (c, h).

Seeds: the decoder's wrappers go on where the encoder's end, so that no two have the same seed.

Import policy: TensorFlow is imported inside functions only.
"""

from typing import Any, Dict, List, Optional, Sequence, Type

from harness.adapters.base import Adapter, Job, Outcome, implementation
from harness.adapters.tensorflow1_base import Tensors, run
from harness.adapters.tensorflow1_cells import BasicLSTMCell, Cells, LSTMBlockCell, LSTMCell
from harness.adapters.tensorflow_arrays import load
from harness.adapters.tensorflow_tap import TensorFlowTap
from harness.tape import UNUSED, Draw, Slot

HALVES = (("encoder.", "x"), ("decoder.", "z"))


class EncoderDecoder(Adapter):
    """Two stacks of one kind of cells."""

    cells: Type[Cells] = Cells
    options = Cells.options
    # Nothing depends on what the encoder emits, so a graph does not draw its mask.
    sites = ("encoder.input", "encoder.between_layers", "decoder.input", "decoder.between_layers", "decoder.output")
    recalls = True

    def __init__(self) -> None:
        self._cells = self.cells()
        self._tap: Optional[TensorFlowTap] = None

    def halves(self, job: Job) -> List[Job]:
        """The job of each half, as one of `lstm`; the decoder's without the state that it is handed."""
        found = []
        for number, (prefix, sequence) in enumerate(HALVES):
            inputs = {name: array for name, array in job.inputs.items() if number == 0 and name in ("h0", "c0")}
            inputs["x"] = job.inputs[sequence]
            sequences = number == 0 or bool(job.config.get("return_sequences"))
            config = {
                "units": job.config["units"],
                "layers": job.config.get("layers", 1),
                "return_sequences": sequences,
                "return_state": True,
            }
            sites = tuple(site._replace(at=site.at[len(prefix) :]) for site in job.sites if site.at.startswith(prefix))
            seed = job.seed + number * int(config["layers"])
            found.append(job._replace(layer="lstm", inputs=inputs, config=config, sites=sites, seed=seed))
        return found

    def check(self, job: Job) -> None:
        super(EncoderDecoder, self).check(job)
        for half in self.halves(job):
            self._cells.check(half)

    def tap(self, replay: Optional[Sequence[Draw]]) -> TensorFlowTap:
        self._tap = self._cells.tap(replay)
        return self._tap

    def slots(self, job: Job) -> List[Slot]:
        return [
            slot if slot.site == UNUSED else slot._replace(site=prefix + slot.site)
            for (prefix, _), half in zip(HALVES, self.halves(job))
            for slot in self._cells.slots(half)
        ]

    def call(self, job: Job) -> Outcome:
        tf = load()
        assert self._tap is not None
        halves = self.halves(job)
        self._tap.program.trips = tuple(self._cells.sizes(half).time for half in halves if self._cells.slots(half))

        def own(weights: Tensors, prefix: str) -> Tensors:
            if job.config.get("tied"):
                return weights
            return {name[len(prefix) :]: weight for name, weight in weights.items() if name.startswith(prefix)}

        def forward(inputs: Tensors, weights: Tensors) -> Tensors:
            encoder, decoder = halves
            first = self._cells.forward(tf, encoder, inputs, own(weights, "encoder."), scope="encoder")
            handed = {"x": inputs["z"], "h0": first["h"], "c0": first["c"]}
            second = self._cells.forward(tf, decoder, handed, own(weights, "decoder."), scope="decoder")
            outputs: Dict[str, Any] = {"y": second["y"]}
            if job.config.get("return_state"):
                outputs.update(h=second["h"], c=second["c"])
                outputs.update({"encoder.h": first["h"], "encoder.c": first["c"]})
            return outputs

        return run(job, forward, self._tap, bool(self.option(job, "eager")))


for _cells in (LSTMCell, BasicLSTMCell, LSTMBlockCell):
    _name = "tf.contrib.rnn." + _cells.name
    _body = {"cells": _cells, "__module__": __name__, "__doc__": "Two stacks of `%s`." % _name}
    implementation(_name, ["tensorflow"], "encoder_decoder", needs=["tensorflow<2"])(
        type("EncoderDecoder" + _cells.name, (EncoderDecoder,), _body)
    )
