"""Jobs for adapter tests: a layer kind's settings in, a Job and the reference's view of its result out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harness.comparison.tolerance import sensitivity
from harness.frameworks.contract.adapter import Job, Result, implementations
from harness.layers.base import DropoutSpec, kinds
from harness.records import Site
from harness.rounding import Rounding
from harness.tape import Draw, decisions, standard_normal

#: Settings of a sequence layer that returns all it has.
FULL: dict[str, Any] = {"units": 4, "return_sequences": True, "return_state": True}


def at(site: str, rate: float = 0.4, *shared: str, **more: Any) -> dict[str, Any]:
    """One entry of a `dropout` list."""
    return {"at": site, "rate": rate, "shared": list(shared), **more}


class Call:
    """One job for one implementation, with the records that the reference needs."""

    def __init__(
        self,
        backend: str,
        implementation: str,
        layer: str,
        config: Mapping[str, Any],
        dropout: Sequence[Mapping[str, Any]] = (),
        *,
        inputs: Mapping[str, np.ndarray],
        dtype: str = "float64",
        mode: str = "train",
        seed: int = 3,
        options: Mapping[str, Any] | None = None,
        gradients: bool = True,
    ) -> None:
        self.kind = kinds()[layer]
        self.config = self.kind.Config(**config)
        shapes = {name: array.shape for name, array in inputs.items()}
        specs = [DropoutSpec(**entry) for entry in dropout]
        self.sites: tuple[Site, ...] = self.kind.sites(self.config, specs, shapes)
        generator = np.random.default_rng(5)
        kind_of = np.dtype(dtype) if dtype != "bfloat16" else np.dtype(__import__("ml_dtypes").bfloat16)
        weight_shapes = self.kind.weight_shapes(self.config, shapes)
        outputs = self.kind.output_shapes(self.config, shapes)
        self.adapter = implementations()[backend, layer, implementation].adapter()
        self.job = Job(
            layer=layer,
            backend=backend,
            config=self.config.model_dump(),
            options=dict(options or {}),
            sites=self.sites,
            mode=mode,
            seed=seed,
            dtype=dtype,
            inputs={
                name: array.astype(kind_of) if array.dtype.kind == "f" else array for name, array in inputs.items()
            },
            weights={name: generator.uniform(-0.5, 0.5, size).astype(kind_of) for name, size in weight_shapes.items()},
            cotangents={name: generator.normal(size=size).astype(kind_of) for name, size in outputs.items()}
            if gradients
            else {},
            tape=None,
            form=self.kind.form,
        )

    def run(self, **changes: Any) -> Result:
        """Run the adapter in this process; `changes` replace fields of the job."""
        return self.adapter.run(self.job._replace(**changes))

    def reference(self, draws: Mapping[str, Draw], rounding: Rounding | None = None) -> dict[str, np.ndarray]:
        """The float64 reference on recorded draws: outputs by name, gradients as `d name`."""
        evaluation = self.kind.evaluate(
            self.config,
            self.job.inputs,
            self.job.weights,
            self.sites,
            plain(self.sites, draws),
            train=self.job.train,
            cotangents=self.job.cotangents or None,
            rounding=rounding,
        )
        return named(evaluation.outputs, evaluation.gradients)

    def worst(self, result: Result) -> float:
        """The largest error of a result over its derived bound (at most 1 where all is well); names and shapes first."""
        arrays = named(result.outputs, result.gradients)
        bounds = sensitivity(lambda rounding: self.reference(result.draws, rounding), self.job.dtype)
        assert set(arrays) == set(bounds.clean), f"gave {sorted(arrays)}, not {sorted(bounds.clean)}"
        worst = 0.0
        for name, clean in bounds.clean.items():
            array = arrays[name]
            assert array.shape == clean.shape, f"{name} is {array.shape}, not {clean.shape}"
            assert array.dtype.name == self.job.dtype, f"{name} is {array.dtype.name}, not {self.job.dtype}"
            error = float(np.max(np.abs(array.astype(np.float64) - clean), initial=0.0))
            assert np.isfinite(error), f"{name} is not finite"
            limit = bounds.bounds[name].limit
            worst = max(worst, error / limit if limit else (0.0 if error == 0.0 else np.inf))
        return worst

    def tape(self, seed: int = 11) -> dict[str, np.ndarray]:
        """A canonical tape for this job's sites."""
        generator = np.random.default_rng(seed)
        tape: dict[str, np.ndarray] = {}
        for site in self.sites:
            for kind in site.draws:
                key = site.at if kind == site.draws[0] else f"{site.at}/{kind}"
                uniform = generator.random(site.shape)
                tape[key] = uniform >= site.rate if kind == "bernoulli" else generator.normal(size=site.shape)
        return tape


def named(outputs: Mapping[str, np.ndarray], gradients: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs and gradients in one mapping, gradients as `d name`."""
    return {**outputs, **{f"d {name}": value for name, value in gradients.items()}}


def plain(sites: Sequence[Site], draws: Mapping[str, Draw]) -> dict[str, np.ndarray]:
    """Recorded draws as the reference reads them. A site that drew nothing keeps all at rate 0 and nothing at rate 1."""
    found: dict[str, np.ndarray] = {}
    for name, draw in draws.items():
        rate = next(site.rate for site in sites if site.at == name.split("/")[0])
        found[name] = standard_normal(draw) if draw.kind == "normal" else decisions(draw, rate)
    for site in sites:
        if site.at not in found and site.rate in (0.0, 1.0):
            found[site.at] = np.full(site.shape, site.rate == 0.0)
    return found
