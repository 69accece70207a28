"""`encoder_decoder` in torch: two stacks, the second started from the first one's (h, c)."""

from typing import Any, Dict, List, Type

from harness.adapters.base import Job, implementation
from harness.adapters.torch_base import Leaf, TorchAdapter
from harness.adapters.torch_locked import LockedStack
from harness.adapters.torch_loops import CellStack, FormulaStack
from harness.adapters.torch_native_lstm import NativeStack
from harness.adapters.torch_sequence import Stack
from harness.tape import Slot


class EncoderDecoder(TorchAdapter):
    """Both halves as one kind of stack; tied halves are one module called twice."""

    stack_class: Type[Stack] = Stack

    def stacks(self, job: Job) -> List[Stack]:
        """The encoder's and the decoder's stack."""
        halves = (("x", "encoder."), ("z", "decoder."))
        return [self.stack_class(job, name, prefix, job.options) for name, prefix in halves]

    def check(self, job: Job) -> None:
        super(EncoderDecoder, self).check(job)
        for stack in self.stacks(job):
            stack.check()

    def slots(self, job: Job) -> List[Slot]:
        return [slot for stack in self.stacks(job) for slot in stack.slots()]

    def build(self, job: Job, weights: Dict[str, Any]) -> Any:
        encoder, decoder = self.stacks(job)
        built = encoder.build(weights)
        return [built, encoder.share(built, decoder) if job.config.get("tied") else decoder.build(weights)]

    def leaves(self, job: Job, built: Any) -> Dict[str, Leaf]:
        found: Dict[str, Leaf] = {}
        for stack, half in zip(self.stacks(job), built):
            found.update(stack.leaves(half))
        return found

    def forward(self, job: Job, built: Any, inputs: Dict[str, Any]) -> Dict[str, Any]:
        encoder, decoder = self.stacks(job)
        start = encoder.start(inputs, inputs["x"])
        _, encoder_h, encoder_c = encoder.run(built[0], inputs["x"], start)
        y, h, c = decoder.run(built[1], inputs["z"], (encoder_h, encoder_c))
        outputs = {"y": y if job.config.get("return_sequences") else decoder.last_step(y)}
        if job.config.get("return_state"):
            states = {"h": h, "c": c, "encoder.h": encoder_h, "encoder.c": encoder_c}
            outputs.update((name, encoder.canonical_state(state)) for name, state in states.items())
        return outputs


def _register(name: str, stack: Type[Stack], recipe: bool, noises: Any = ("bernoulli",)) -> None:
    """Register the encoder-decoder made of one kind of stack."""
    sites = tuple(half + site for half in ("encoder.", "decoder.") for site in stack.sites)
    body = {
        "stack_class": stack,
        "sites": sites,
        "settings": stack.settings,
        "options": stack.defaults,
        "noises": noises,
        "__module__": __name__,
    }
    cls = type("EncoderDecoder_" + stack.__name__, (EncoderDecoder,), body)
    implementation(name, ["torch"], "encoder_decoder", needs=["torch"], recipe=recipe)(cls)


_register("torch.nn.LSTM", NativeStack, False)
_register("torch.nn.LSTMCell", CellStack, True, noises=("bernoulli", "gaussian"))
_register("recipe.lstm_loop", FormulaStack, True, noises=("bernoulli", "gaussian"))
_register("recipe.LockedDropout", LockedStack, True)
