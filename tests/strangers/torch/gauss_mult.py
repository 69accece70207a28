import torch
from torch import nn


class GaussianDropout(nn.Module):
    """Multiplicative Gaussian noise, Srivastava et al. 2014, section 10."""

    def __init__(self, p=0.5):
        super(GaussianDropout, self).__init__()
        if p < 0 or p >= 1:
            raise ValueError("p must be in [0, 1)")
        self.alpha = p / (1.0 - p)

    def forward(self, x):
        if self.training:
            epsilon = torch.randn(x.size(), dtype=x.dtype, device=x.device) * self.alpha + 1
            return x * epsilon
        return x


def run(case):
    layer = GaussianDropout(case.config["rate"]).train(case.training)
    return {"y": layer(case.inputs["x"])}
