import math

import torch


def gaussian_dropout(x, p, training, time_locked=True):
    """N(1, p/(1-p)) noise, one factor per unit for the whole sequence."""
    if not training or p <= 0:
        return x
    size = (x.size(0), 1, x.size(2)) if time_locked else x.size()
    noise = torch.normal(1.0, math.sqrt(p / (1 - p)), size, dtype=x.dtype)
    return x.mul(noise)


def run(case):
    return {"y": gaussian_dropout(case.inputs["x"], case.config["rate"], case.training)}
