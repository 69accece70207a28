"""Dropout in torch, as a layer that lives through several calls or is made and seeded in each."""

import sys

import torch
import torch.nn.functional as F


class Locked(torch.nn.Module):
    def __init__(self, rate):
        super().__init__()
        self.rate, self.mask = rate, None

    def forward(self, x):
        if self.training and self.mask is None:
            self.mask = F.dropout(torch.ones_like(x), self.rate)
        return x * self.mask if self.training else x


def cached(case):
    return {"y": case.keep(lambda: Locked(case.rate("input"))).train(case.training)(case.inputs["x"])}


def anew(case):
    return {"y": case.keep(lambda: torch.nn.Dropout(case.rate("input"))).train(case.training)(case.inputs["x"])}


def seeds(case):
    torch.manual_seed(case.seed)
    return {"y": F.dropout(case.inputs["x"], case.rate("input"), case.training)}


def initialised(case):
    layer = case.keep(lambda: [torch.rand(3, 4), torch.nn.Dropout(case.rate("input"))])[1]
    return {"y": layer.train(case.training)(case.inputs["x"])}


def elsewhere(case):
    import numpy as np

    x, rate = case.inputs["x"], case.rate("input")
    kept = np.random.default_rng(case.seed).random(tuple(x.shape)) >= rate
    return {"y": x * torch.from_numpy(kept) / (1 - rate) if case.training else x}


def exits(case):
    sys.exit("the data are missing")
