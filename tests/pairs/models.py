"""torch models that the tests of pairs share: an original, and ports of it with one thing changed."""

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    """A transformer block with drop path, as timm writes it."""

    def __init__(self, width: int = 8, rate: float = 0.1, **changed: object) -> None:
        super().__init__()
        self.changed = changed
        self.ln0 = nn.LayerNorm(width, eps=float(changed.get("eps", 1e-5)))
        self.attention = nn.MultiheadAttention(width, 2, dropout=rate, batch_first=True)
        self.ln1 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 12)
        self.fc2 = nn.Linear(12, width)
        self.drop = nn.Dropout(float(changed.get("rate", rate)))

    def forward(self, x):
        h = self.ln0(x)
        a, _ = self.attention(h, h, h, need_weights=False)
        if self.changed.get("after_add"):
            x = self.drop(x + self.path(a))
        else:
            x = x + self.path(self.drop(a))
        h = F.gelu(self.fc1(self.ln1(x)), approximate=str(self.changed.get("gelu", "none")))
        h = self.drop(self.fc2(h))
        return x + self.path(self.drop(h) if self.changed.get("twice") else h)

    def path(self, x):
        if not self.training:
            return x
        keep = 0.7
        shape = (1, 1, 1) if self.changed.get("path") == "batch" else (x.shape[0], 1, 1)
        if self.changed.get("path") == "compared":
            kept = (torch.rand(shape) < keep).to(x.dtype)
        else:
            kept = torch.floor(keep + torch.rand(shape))
        if self.changed.get("path") == "unscaled":
            return x * kept
        return x / keep * kept


class Net(nn.Module):
    """Embedding, two LSTM layers with dropout between, a block, batch normalisation, a head."""

    def __init__(self, **changed: object) -> None:
        super().__init__()
        self.emb = nn.Embedding(50, 8)
        self.lstm = nn.LSTM(8, 8, 2, dropout=0.25, batch_first=True)
        self.block = Block(**changed)
        self.bn = nn.BatchNorm1d(8, momentum=float(changed.get("momentum", 0.1)))
        self.out = nn.Linear(8, 3)

    def forward(self, tokens):
        x, _ = self.lstm(self.emb(tokens))
        x = self.bn(self.block(x).transpose(1, 2)).transpose(1, 2)
        return {"logits": self.out(x), "hidden": x}


def net(**changed: object) -> Net:
    """The model, its weights the same whatever is changed."""
    torch.manual_seed(3)
    made = Net(**changed)
    with torch.no_grad():
        for value in made.parameters():
            value.add_(0.3 * torch.randn_like(value))
    return made


class Mixer(nn.Module):
    """What `flax_models.Mixer` is in Flax: written by hand, in torch's layout and names."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(5, 6)
        self.fc2 = nn.Linear(6, 5)
        self.ln = nn.LayerNorm(5)
        self.emb = nn.Embedding(20, 5)
        self.bn = nn.BatchNorm1d(5)
        self.out = nn.Linear(5, 3)
        self.drop = nn.Dropout(0.25)

    def forward(self, x, tokens):
        h = self.ln(self.fc2(self.drop(F.gelu(self.fc1(x)))))
        if self.training:
            h = h / 0.7 * torch.floor(0.7 + torch.rand(x.shape[0], 1, 1))
        x = (x + h + self.emb(tokens)).transpose(1, 2)
        return self.out(self.bn(x).transpose(1, 2))


def mixer() -> Mixer:
    """The model, no two of its weights alike."""
    torch.manual_seed(5)
    made = Mixer()
    with torch.no_grad():
        for value in made.parameters():
            value.add_(0.3 * torch.randn_like(value))
    return made
