"""A transformer block with drop path, as its author wrote it with torch's layers."""

import torch
from torch import nn
from torch.nn import functional


class DropPath(nn.Module):
    def __init__(self, rate):
        super().__init__()
        self.rate = rate

    def forward(self, x):
        if not self.training or self.rate == 0.0:
            return x
        keep = 1.0 - self.rate
        return x.div(keep) * torch.floor(keep + torch.rand(x.shape[0], 1, 1))


class Block(nn.Module):
    def __init__(self, width, heads, rate):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, dropout=0.1, batch_first=True)
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 2 * width)
        self.fc2 = nn.Linear(2 * width, width)
        self.drop = nn.Dropout(0.2)
        self.path = DropPath(rate)

    def forward(self, x):
        h = self.norm1(x)
        a, _ = self.attention(h, h, h, need_weights=False)
        x = x + self.path(self.drop(a))
        h = self.drop(functional.gelu(self.fc1(self.norm2(x))))
        return x + self.path(self.drop(self.fc2(h)))


class Model(nn.Module):
    def __init__(self, words=50, width=8, heads=2):
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.blocks = nn.ModuleList(Block(width, heads, rate) for rate in (0.1, 0.3))
        self.head = nn.Linear(width, 3)

    def forward(self, tokens):
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x)
        return {"logits": self.head(x), "hidden": x}


def build():
    torch.manual_seed(1)
    model = Model()
    with torch.no_grad():
        for value in model.parameters():
            value.add_(0.2 * torch.randn_like(value))
    return model
