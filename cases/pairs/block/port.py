"""The same block by hand: attention as two products, masks drawn with a comparison, one module for all of it."""

import math

import torch
from torch import nn


def dropout(x, rate, training):
    if not training:
        return x
    return torch.where(torch.rand(x.shape) < 1.0 - rate, x / (1.0 - rate), torch.zeros(()))


class Layer(nn.Module):
    def __init__(self, width, heads, rate):
        super().__init__()
        self.heads, self.rate = heads, rate
        self.norm1 = nn.LayerNorm(width, eps=1e-5)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=1e-5)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)

    def attend(self, x):
        batch, length, width = x.shape
        q, k, v = self.qkv(x).reshape(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) / math.sqrt(width // self.heads)
        weights = dropout(scores.softmax(-1), 0.1, self.training)
        return self.proj((weights @ v).transpose(1, 2).reshape(batch, length, width))

    def skip(self, x, h):
        h = dropout(h, 0.2, self.training)
        if self.training:
            kept = torch.rand(x.shape[0]) >= self.rate
            h = torch.where(kept[:, None, None], h / (1.0 - self.rate), 0.0)
        return x + h

    def forward(self, x):
        x = self.skip(x, self.attend(self.norm1(x)))
        h = self.up(self.norm2(x))
        h = 0.5 * h * (1.0 + torch.erf(h / math.sqrt(2.0)))
        return self.skip(x, self.down(dropout(h, 0.2, self.training)))


class Port(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(50, 8)
        self.layers = nn.ModuleList(Layer(8, 2, rate) for rate in (0.1, 0.3))
        self.out = nn.Linear(8, 3)

    def forward(self, tokens):
        x = self.table(tokens)
        for layer in self.layers:
            x = layer(x)
        return {"logits": self.out(x), "hidden": x}


NAMES = {"attention.in_proj_": "qkv.", "attention.out_proj.": "proj.", "fc1.": "up.", "fc2.": "down."}


def convert(weights):
    """The original's parameters by the port's names."""
    found = {}
    for name, value in weights.items():
        name = name.replace("blocks.", "layers.").replace("embed.", "table.").replace("head.", "out.")
        for old, new in NAMES.items():
            name = name.replace(old, new)
        found[name] = value
    return found
