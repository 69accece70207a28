"""NumPy arrays to torch tensors and back, bfloat16 included; and what is set once in a process that runs torch."""

from typing import Any, List

import numpy as np

_READY: List[bool] = []


def torch_module() -> Any:
    """Import torch, once set to one thread.

    The number of OpenMP threads changes the order of sums and with it their last bits (torch.sum, matrix products), so
    a result would depend on the machine's load and cores. Masks do not depend on it.
    """
    import torch

    if not _READY:
        torch.set_num_threads(1)
        _READY.append(True)
    return torch


def from_numpy(array: np.ndarray) -> Any:
    """A tensor that owns a copy of the array's values."""
    import torch

    array = np.array(array, order="C", copy=True)
    if array.dtype.name == "bfloat16":
        # torch cannot read ml_dtypes' bfloat16; both see the same 16 bits.
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def to_numpy(tensor: Any) -> np.ndarray:
    """A tensor's values as an array of the same dtype (may share memory with the tensor)."""
    import torch

    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:
        import ml_dtypes

        return np.asarray(tensor.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16))
    return np.asarray(tensor.numpy())
