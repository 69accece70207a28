"""A float64 copy of every number that a torch program computes, beside the program itself, and copies with rounding noise.

Each storage of floats has *shadows*: shadow 0 is what the program computes in float64, the others what it computes in float64
with an error of the size of one rounding at every operation. Shadows belong to storages, not to tensors, so views, in-place
operations and what autograd saves for the backward pass need no care. What is not a float (indices, masks, comparisons) is the
program's own, so all of them decide as the program did: no second run, no conversion of the user's model.

The size of one rounding: docs/tolerance.md and harness/formats.py; sums of products by the absolute sum of their terms.
"""

from typing import Any, Dict, List, Optional, Sequence, Tuple

from harness.formats import noise_size

#: Sums of products, whose error is u times the sum of the absolute terms.
PRODUCTS = frozenset(
    [
        "mm",
        "bmm",
        "addmm",
        "baddbmm",
        "addbmm",
        "addmv",
        "mv",
        "dot",
        "convolution",
        "_convolution",
        "sum",
        "mean",
        "cumsum",
    ]
)

#: Operations that hide several roundings: their input, or gradient and input, is perturbed as well.
FUSED = frozenset(
    [
        "native_layer_norm",
        "native_batch_norm",
        "_native_batch_norm_legit",
        "native_group_norm",
        "_softmax",
        "_log_softmax",
        "logsumexp",
        "var",
        "std",
        "var_mean",
        "std_mean",
        "_scaled_dot_product_flash_attention_for_cpu",
        "norm",
        "linalg_vector_norm",
        "cudnn_batch_norm",
        "native_layer_norm_backward",
        "native_batch_norm_backward",
        "native_group_norm_backward",
        "_softmax_backward_data",
        "_log_softmax_backward_data",
        "convolution_backward",
        "nll_loss_forward",
        "lerp",
        "addcmul",
        "addcdiv",
        "gelu",
        "silu",
        "mish",
        "gelu_backward",
        "silu_backward",
    ]
)

#: Operations that move numbers and round none.
EXACT = frozenset(
    [
        "embedding",
        "relu",
        "relu_",
        "cat",
        "stack",
        "constant_pad_nd",
        "where",
        "index",
        "zeros",
        "zeros_like",
        "ones",
        "ones_like",
        "new_zeros",
        "new_ones",
        "empty",
        "empty_like",
        "new_empty",
        "fill",
        "fill_",
        "slice_backward",
        "select_backward",
        "threshold_backward",
        "scalar_tensor",
        "clone",
        "_to_copy",
        "copy_",
        "gather",
        "masked_fill",
        "masked_fill_",
        "repeat",
        "flip",
        "roll",
        "neg",
        "abs",
        "max",
        "min",
        "amax",
        "amin",
        "maximum",
        "minimum",
        "clamp",
        "clamp_min",
        "max_pool2d_with_indices",
        "sign",
        "floor",
        "ceil",
        "round",
        "tril",
        "triu",
        "index_select",
        "index_put_",
        "zero_",
        "full",
        "full_like",
        "threshold",
        "_unsafe_view",
        "view",
        "lift_fresh",
        "scatter",
        "sort",
        "topk",
        "new_full",
        "reflection_pad1d",
        "reflection_pad2d",
        "_reshape_copy",
        "leaky_relu",
        "hardtanh",
    ]
)


class Kept:
    """What is known of one storage: its shadows, the last operation that wrote it, the draws that it
    rests on (a bit for each), and what a uniform in it is for.
    """

    __slots__ = ("dtype", "flats", "reference", "rests", "step", "uniform")

    def __init__(self, reference: Any) -> None:
        self.reference = reference
        self.flats: Optional[List[Any]] = None
        self.dtype: Any = None
        self.step = -1
        self.rests = 0
        self.uniform: Optional[Tuple[int, float]] = None


class Shadows:
    """Everything that is known of the storages that live.

    noise  how many shadows with rounding noise there are beside the plain one; -1: no shadows at all.
    """

    def __init__(self, noise: int) -> None:
        import torch

        self.count = noise + 1
        self.generators = [torch.Generator().manual_seed(977 + number) for number in range(noise)]
        self.lost: Dict[str, None] = {}
        self._kept: Dict[int, Kept] = {}
        self._sweep = 4096

    def of(self, tensor: Any) -> Kept:
        """What is known of a tensor's storage; made where nothing is."""
        from torch.multiprocessing.reductions import StorageWeakRef

        storage = tensor.untyped_storage()
        key = storage._cdata
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = Kept(StorageWeakRef(storage))
            if len(self._kept) > self._sweep:
                self._forget()
        return kept

    def _forget(self) -> None:
        """Drop what belongs to storages that are gone."""
        self._kept = {key: kept for key, kept in self._kept.items() if not kept.reference.expired()}
        self._sweep = max(4096, 2 * len(self._kept))

    def view(self, tensor: Any, number: int) -> Any:
        """A tensor's shadow, laid out as the tensor is."""
        import torch

        kept = self.of(tensor)
        if kept.flats is None or kept.dtype != tensor.dtype:
            size = tensor.untyped_storage().nbytes() // tensor.element_size()
            flat = tensor.detach().as_strided((size,), (1,), 0)
            wide = torch.complex128 if tensor.is_complex() else torch.float64
            kept.flats = [flat.to(wide, copy=True) for _ in range(self.count)]
            kept.dtype = tensor.dtype
        return kept.flats[number].as_strided(tensor.size(), tensor.stride(), tensor.storage_offset())

    def prepare(self, tensors: Sequence[Any]) -> None:
        """Make the shadows of floats before an operation can change them."""
        for tensor in tensors:
            self.view(tensor, 0)

    def forget(self, tensor: Any) -> None:
        """A tensor's shadows are its own numbers again."""
        if self.count:
            kept = self.of(tensor)
            if kept.flats is not None and tensor.numel() * tensor.element_size() != tensor.untyped_storage().nbytes():
                for number in range(self.count):
                    self.view(tensor, number).copy_(tensor)
            else:
                kept.flats = None

    def follow(
        self, func: Any, name: str, args: Any, kwargs: Dict[str, Any], results: Sequence[Any], fresh: List[bool]
    ) -> None:
        """Do an operation again on the shadows. `results` are its float results, `fresh` which have a storage of their own."""
        for number in range(self.count):
            noisy = number > 0 and name not in EXACT
            # Batch statistics, further on among the arguments, are written: only what is read is perturbed, as a copy.
            read = (2 if name.endswith("backward") else 1) if noisy and name in FUSED else 0
            given = [self._substitute(item, number, place < read) for place, item in enumerate(args)]
            named = self._substitute(kwargs, number, False)
            try:
                made = func(*given, **named)
                sizes = self._size(func, name, given, named, made) if noisy else None
            except Exception as error:
                self.lost.setdefault("%s: %s" % (name, str(error).split("\n")[0]))
                for result in results:
                    self.forget(result)
                return
            shadows = [item for item in (made if isinstance(made, (tuple, list)) else (made,)) if _is_float(item)]
            for position, (result, shadow) in enumerate(zip(results, shadows)):
                if noisy and not func.is_view:
                    size = sizes if position == 0 and sizes is not None else shadow.abs()
                    shadow = self._noisy(shadow, size, result, number, in_place=not fresh[position])
                if fresh[position]:
                    self._put(result, shadow, number)

    def _noisy(self, value: Any, size: Any, like: Any, number: int, in_place: bool) -> Any:
        import torch

        u = noise_size(str(like.dtype).replace("torch.", ""))
        noise = torch.empty(value.shape, dtype=torch.float64).uniform_(-u, u, generator=self.generators[number - 1])
        moved = noise * (size.abs() if size.is_complex() else size)
        moved = torch.where(torch.isfinite(moved), moved, torch.zeros_like(moved))
        return value.add_(moved) if in_place else value + moved

    def _size(self, func: Any, name: str, args: Any, kwargs: Dict[str, Any], made: Any) -> Any:
        """The sum of the absolute terms of a sum of products; None where the result's own size counts."""
        if name not in PRODUCTS:
            return None
        return func(*_absolute(args), **{key: _absolute(value) for key, value in kwargs.items()})

    def _put(self, result: Any, shadow: Any, number: int) -> None:
        import torch

        kept = self.of(result)
        if kept.flats is None or kept.dtype != result.dtype or number == 0:
            size = result.untyped_storage().nbytes() // result.element_size()
            wide = torch.complex128 if result.is_complex() else torch.float64
            kept.flats = [torch.zeros(size, dtype=wide) for _ in range(self.count)] if number == 0 else kept.flats
            kept.dtype = result.dtype
        self.view(result, number).copy_(shadow)

    def _substitute(self, item: Any, number: int, noisy: bool) -> Any:
        import torch

        if isinstance(item, torch.Tensor):
            if not _is_float(item):
                return item
            shadow = self.view(item, number)
            return self._noisy(shadow, shadow.abs(), item, number, in_place=False) if noisy else shadow
        if isinstance(item, torch.dtype):
            return torch.float64 if item.is_floating_point else torch.complex128 if item.is_complex else item
        if isinstance(item, (tuple, list)):
            return type(item)(self._substitute(each, number, noisy) for each in item)
        if isinstance(item, dict):
            return {name: self._substitute(value, number, noisy) for name, value in item.items()}
        return item


def _is_float(item: Any) -> bool:
    import torch

    return isinstance(item, torch.Tensor) and (item.is_floating_point() or item.is_complex())


def _absolute(item: Any) -> Any:
    if _is_float(item):
        return item.abs()
    if isinstance(item, (tuple, list)):
        return type(item)(_absolute(each) for each in item)
    return item
