"""Keras programs that run on every backend, with torch ports; a port's fault is planted by its name in FAULT."""

from pathlib import Path

KERAS = """
import keras


class Tagger(keras.Model):
    def __init__(self):
        super().__init__()
        self.emb = keras.layers.Embedding(20, 6, name="emb")
        lstm = keras.layers.LSTM(5, return_sequences=True, dropout=0.2, recurrent_dropout=0.1, name="lstm")
        self.bi = keras.layers.Bidirectional(lstm, name="bi")
        self.bn = keras.layers.BatchNormalization(name="bn")
        self.drop = keras.layers.Dropout(0.3, name="drop")
        self.noise = keras.layers.GaussianNoise(0.1, name="noise")
        self.out = keras.layers.Dense(3, name="out")

    def call(self, tokens, training=False):
        h = self.bn(self.bi(self.emb(tokens), training=training), training=training)
        return self.out(self.noise(self.drop(h, training=training), training=training))


class Head(keras.Model):
    def __init__(self, rate=0.25):
        super().__init__()
        self.fc = keras.layers.Dense(7, activation="tanh", name="fc")
        self.drop = keras.layers.Dropout(rate, name="drop")
        self.out = keras.layers.Dense(3, name="out")

    def call(self, x, training=False):
        return self.out(self.drop(self.fc(x), training=training))


def functional():
    x = keras.Input((5,), name="x")
    h = keras.layers.Dropout(0.25, name="drop")(keras.layers.Dense(7, activation="tanh", name="fc")(x))
    return keras.Model(x, keras.layers.Dense(3, name="out")(h))


def free(x, training):
    return keras.random.dropout(x, 0.25, seed=SEEDS) if training else x


SEEDS = keras.random.SeedGenerator(3)
"""

HEAD = """
import torch
from torch import nn


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(5, 7)
        self.drop = nn.Dropout(0.25)
        self.out = nn.Linear(7, 3)

    def forward(self, x):
        h = torch.tanh(self.fc(x))
        return self.out(self.drop(h))


def free(x, training):
    return nn.functional.dropout(x, 0.25, training)
"""


def write(folder: Path, **changed: str) -> None:
    """Both files into a folder; `changed` gives a text of the port by a text that stands there once."""
    (folder / "original.py").write_text(KERAS)
    text = HEAD
    for old, new in changed.values():
        assert text.count(old) == 1
        text = text.replace(old, new)
    (folder / "port.py").write_text(text)
