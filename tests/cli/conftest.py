import importlib
import sys
import types

import pytest

from harness.cli import make
from harness.commands.guard import guarded
from tests.reporting import fakes

CASE = """about: The mask is where it is kept.
layer: dropout
config: {rate: "{rate}"}
inputs: {x: {shape: [4, 8], fill: normal, seed: 1}}
matrix: {rate: [0.25, 0.5]}
backends: [numpy, {torch: torch.nn.Dropout}]
"""


@pytest.fixture
def harness(capsys, monkeypatch, tmp_path):
    """Run the command line in an empty folder: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def call(*arguments):
        code = guarded(make(), list(arguments))
        out, err = capsys.readouterr()
        return int(code), out, err

    return call


@pytest.fixture
def case(tmp_path):
    """A folder `cases` with one case of two variants."""
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "plain.yaml").write_text(CASE)
    return "cases/plain.yaml"


@pytest.fixture
def execution(monkeypatch):
    """Stand in for the workers: `execution.verdicts[label]` gives rows of made-up comparisons."""
    from harness.execution import plan

    module = types.ModuleType("harness.running")
    # Imported first, so that the package and sys.modules name the same module again when this one goes.
    module.real = importlib.import_module("harness.running")
    module.verdicts = {}
    module.stop_after = None
    module.seen = {}

    def run(variants, *, select, on_start, jobs, profile):
        module.seen = {"variants": variants, "jobs": jobs, "profile": profile}
        done = 0
        for variant in variants:
            for ref in plan.expand(variant, select):
                if module.stop_after is not None and done >= module.stop_after:
                    raise module.error
                done += 1
                on_start(plan.PlannedJob(variant, ref))
                rows = [
                    fakes.row(variant, ref.label, check, verdict)
                    for check, verdict in module.verdicts.get(ref.backend, [("value.y", "pass")])
                ]
                yield fakes.compared(
                    variant, ref.label, *rows, masks={"input": fakes.mask(len(variant.id))}, detail="last words"
                )

    module.run = run
    module.error = KeyboardInterrupt()
    monkeypatch.setitem(sys.modules, "harness.running", module)
    return module
