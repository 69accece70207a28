"""Cases of toy kinds, loaded in an empty working directory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from toy_kinds import IMPLEMENTATIONS, KINDS

from harness.cases import backends, building, export, filling, load
from harness.errors import UserError
from harness.records import Variant


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Only the toy kinds and implementations exist; the working directory is empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(building, "kinds", lambda: KINDS)
    monkeypatch.setattr(export, "kinds", lambda: KINDS)
    monkeypatch.setattr(filling, "kinds", lambda: KINDS)
    monkeypatch.setattr(backends, "implementations", lambda: IMPLEMENTATIONS)
    monkeypatch.setattr(export, "implementations", lambda: IMPLEMENTATIONS)
    backends._by_kind.cache_clear()
    backends._whole_labels.cache_clear()
    yield tmp_path
    backends._by_kind.cache_clear()
    backends._whole_labels.cache_clear()


Loader = Callable[[str], list[Variant]]


@pytest.fixture
def good(toys: Path) -> Loader:
    """Load a text as `case.yaml`."""

    def loader(text: str) -> list[Variant]:
        Path("case.yaml").write_text(text, encoding="utf-8")
        return load([Path("case.yaml")])

    return loader


@pytest.fixture
def bad(toys: Path) -> Callable[[str | bytes], list[str]]:
    """Load a text as `case.yaml` and return what the user sees, one line for each problem."""

    def loader(text: str | bytes) -> list[str]:
        Path("case.yaml").write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        with pytest.raises(UserError) as caught:
            load([Path("case.yaml")])
        return str(caught.value).split("\n")

    return loader


@pytest.fixture
def arrays(toys: Path) -> Path:
    """Array files of all sorts in the working directory."""
    np.save("x.npy", np.arange(105.0).reshape(5, 7, 3))
    np.save("object.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save("complex.npy", np.zeros(3, complex))
    np.save("empty.npy", np.zeros((5, 0, 3)))
    np.savez("weights.npz", kernel=np.ones((3, 2)), bias=np.zeros(9))
    np.savez("good.npz", kernel=np.ones((3, 2)), bias=np.zeros(2))
    data = Path("x.npy").read_bytes()
    Path("short.npy").write_bytes(data[:200])
    Path("junk.npy").write_bytes(b"\x00\x01\x02" * 20)
    Path("junk.npz").write_bytes(b"PK\x03\x04" + b"\x00\x01\x02" * 20)
    Path("text.txt").write_text("1 2 3")
    return toys
