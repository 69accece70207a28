"""Its two layers: one right, one that changes the sign."""

from harness.frameworks.contract.adapter import Adapter, Outcome, Tap, implementation


@implementation("toyframework.Halve", ["toyframework"], "halving", needs=["parity_toys"])
class Halve(Adapter):
    """y = x / 2."""

    factor = 0.5

    def tap(self, replay):
        return Tap(replay)

    def slots(self, job):
        return []

    def call(self, job, tap):
        y = job.inputs["x"] * job.inputs["x"].dtype.type(self.factor)
        gradients = {name: array * array.dtype.type(self.factor) for name, array in job.cotangents.items()}
        return Outcome({"y": y}, {"x": gradients["y"]} if gradients else {})


@implementation("toyframework.Wrong", ["toyframework"], "halving", needs=["parity_toys"])
class Wrong(Halve):
    """y = -x / 2."""

    factor = -0.5
