"""NumPy: recipes written from the published equations."""

from harness.frameworks.contract.framework import Framework, Template
from harness.frameworks.numpy.fixes import FIXES

FRAMEWORK = Framework(
    name="numpy",
    backends=("numpy",),
    packages=("numpy",),
    listed=0,
    offered=3,
    seen="case.rng",
    gradients=False,
    template=Template(
        imports="import numpy as np\n\n\ndef sigmoid(z):\n    return 1.0 / (1.0 + np.exp(-z))",
        start="    h = c = np.zeros((batch, units), x.dtype)",
        step="i, f, g, o = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)",
        sigmoid="sigmoid",
        tanh="np.tanh",
        output=(
            'keep = x.dtype.type(1.0 - case.rate("output"))\n'
            "    y = np.stack(steps, axis=1)\n"
            "    if keep < 1.0:\n"
            "        y = y * case.rng.bernoulli(keep, y.shape) / keep"
        ),
        source="rng",
    ),
    fixes=FIXES,
)
