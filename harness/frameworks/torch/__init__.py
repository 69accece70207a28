"""torch: the tap, torch.nn's layers, and recipes."""

import sys

from harness.frameworks.contract.framework import Framework, Template
from harness.frameworks.torch.fixes import FIXES


def device() -> str:
    """The type of torch's default device."""
    default = getattr(sys.modules.get("torch"), "get_default_device", None)
    return str(default().type) if default is not None else "cpu"


FRAMEWORK = Framework(
    name="torch",
    backends=("torch",),
    packages=("torch",),
    listed=2,
    extra="torch",
    device=device,
    offered=0,
    seen="torch's generators",
    template=Template(
        imports="import torch\nimport torch.nn.functional as F",
        start="    h = x.new_zeros(batch, units)\n    c = x.new_zeros(batch, units)",
        step="i, f, g, o = (x[:, t] @ kernel + h @ recurrent + bias).chunk(4, dim=1)",
        sigmoid="torch.sigmoid",
        tanh="torch.tanh",
        output='y = F.dropout(torch.stack(steps, dim=1), case.rate("output"), training=case.training)',
        source="seed",
    ),
    fixes=FIXES,
)
