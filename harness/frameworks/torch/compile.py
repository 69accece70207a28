"""`torch.compile` beside eager calls: option `compile`, false, true (the Inductor backend) or a backend's name.

Inductor by default draws inside its own kernels, from Philox keyed by one number of the stream, where no tap can look
(harness.streams knows the rule); with `fallback_random` it calls the random operators of eager torch, which the tap sees.
So compiled adapters run with `fallback_random`.
"""

import contextlib
import os
import shutil
from typing import Any, Callable, Dict, Iterator, List

from harness.frameworks.contract.adapter import Unsupported
from harness.frameworks.torch.arrays import torch_module

#: Options of an implementation that can be compiled, with their defaults.
OPTIONS: Dict[str, Any] = {"compile": False}

#: Graphs kept for one function before torch would give up and run it eagerly, without an error.
GRAPHS = 256

_READY: List[bool] = []

#: Whether what was compiled last had to be one graph.
_WHOLE: List[bool] = [True]

#: The value of `allow_rnn` that the graphs so far were made with.
_ALLOWED: List[bool] = [False]


def backend_of(options: Dict[str, Any]) -> str:
    """The backend that the option `compile` names, "" for eager. Raises Unsupported where it cannot run here."""
    value = options.get("compile", False)
    backend = {True: "inductor", False: ""}.get(value, value) if isinstance(value, bool) else value
    if backend == "inductor" and not _compiler():
        raise Unsupported("torch.compile needs a C++ compiler on a CPU, and none is found")
    return str(backend)


def _compiler() -> bool:
    """Whether Inductor finds a C++ compiler."""
    return any(shutil.which(name) for name in (os.environ.get("CXX", ""), "g++", "clang++") if name)


def maybe_compiled(function: Callable[..., Any], options: Dict[str, Any], whole: bool = True) -> Callable[..., Any]:
    """Return the function, compiled where the option says so. `whole`: a break in the graph is an error."""
    torch = torch_module()
    backend = backend_of(options)
    if not backend:
        return function
    if not _READY:
        _settings()
        _READY.append(True)
    if whole and not _WHOLE[0]:
        # torch remembers the functions that it ran eagerly behind a break, and would not compile them by themselves any more.
        torch._dynamo.reset()
    _WHOLE[0] = whole
    compiled: Callable[..., Any] = torch.compile(function, backend=backend, fullgraph=whole)
    return compiled


def _settings() -> None:
    """Set once in a process: eager torch's random operators in the graphs, and no silent way out of them."""
    import torch._dynamo
    import torch._inductor.config

    torch._inductor.config.fallback_random = True
    for name in ("recompile_limit", "cache_size_limit"):
        if hasattr(torch._dynamo.config, name):
            setattr(torch._dynamo.config, name, GRAPHS)
    # More graphs than that are an error rather than a silent eager call.
    if hasattr(torch._dynamo.config, "fail_on_recompile_limit_hit"):
        torch._dynamo.config.fail_on_recompile_limit_hit = True


@contextlib.contextmanager
def allow_rnn(allow: bool) -> Iterator[None]:
    """Set torch._dynamo's `allow_rnn` for a block: whether torch.compile traces nn.LSTM or leaves it to eager torch."""
    import torch._dynamo

    if _ALLOWED[0] != allow:
        # torch remembers that it has skipped nn.LSTM, whatever the setting says later.
        torch._dynamo.reset()
        _ALLOWED[0] = allow
    with torch._dynamo.config.patch(allow_rnn=allow):
        yield
