"""From a case's tree of values to Variants: what the parts mean together, asked of the layer kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from harness.cases.backends import BackendList, expectations
from harness.cases.document import Document
from harness.cases.filling import misfit, overflowing
from harness.cases.matrix import Combination, combinations, matrix_values, value_text
from harness.cases.model import Model, ModelReader
from harness.cases.problems import Complaints, Path, dotted, show, validate
from harness.cases.schema import CaseFile
from harness.cases.template import Template
from harness.errors import Place, Problem, UserError, did_you_mean
from harness.layers.base import LayerKind, kinds
from harness.records import Variant

#: Distinct problems of one file to show; the rest is only mentioned.
MAX_PROBLEMS = 100
T = TypeVar("T")


class Builder:
    """Makes the variants of one document. What no matrix value changes is worked out once and shared."""

    def __init__(self, document: Document, folder: str, *, ported: bool = True) -> None:
        self.document = document
        self.ported = ported
        self.folder = folder
        self.problems: dict[Problem, None] = {}
        self.place = document.place()
        self._memo: dict[str, tuple[tuple[Any, ...], Any, Complaints]] = {}

    def variants(self) -> Iterator[Variant]:
        """Yield the good variants; what is wrong with the others gathers in `problems`."""
        tree = self.document.value
        if not isinstance(tree, dict):
            self.problems[Problem(f"a case is a mapping, not {show(tree)}", self.place)] = None
            return
        complaints = Complaints()
        rows = [Combination()]
        self.keys: dict[str, list[Any]] = {}
        if "matrix" in tree:
            rows = combinations(tree["matrix"], complaints) or rows
            self.keys = matrix_values(tree["matrix"])
        unclear = bool(complaints) and not self.keys  # then placeholders cannot be judged
        self.template = Template(tree, self.keys, self.document.text, Complaints() if unclear else complaints)
        if complaints:
            self._report(complaints, Combination())
            # The rest of the file is still looked at, once, so that all problems show together.
            self._build(self.template.tree, Combination(), partial=True)
            return
        for combination in rows:
            variant = self._build(self.template.fill(combination), combination)
            if variant is not None:
                yield variant

    def _build(self, tree: dict[str, Any], combination: Combination, *, partial: bool = False) -> Variant | None:
        """One variant. With `partial` the placeholders are not filled in, and only sure problems are wanted."""
        complaints = Complaints()
        case = validate(CaseFile, tree, (), complaints)
        found = tree
        if complaints:
            wrong = {path[0] for path, _, _ in complaints.found if path}
            found = {key: value for key, value in tree.items() if key not in wrong}
        _check_seeds(found.get("seeds", ()), complaints)
        kind = self._kind(found, complaints)
        layer = kind.name if kind is not None else None
        place = self.document.place
        environment = found.get("environment") or ""
        raw_refs = found.get("backends")
        refs = self._once(
            "backends",
            (raw_refs, layer, environment),
            complaints,
            lambda notes: BackendList(layer, self.folder, environment, place, notes, self.ported).resolve(
                raw_refs or ()
            ),
        )
        good_refs = refs if raw_refs is not None and len(refs) == len(raw_refs) else None
        raw_expect = found.get("expect") or ()
        expect = self._once(
            "expect",
            (raw_expect, refs, layer),
            complaints,
            lambda notes: expectations(raw_expect, good_refs, layer, self.keys, place, notes),
        )
        model = None
        if kind is not None:
            parts = ("config", "dropout", "inputs", "weights")
            model = self._once(
                "model",
                (kind, refs, *(tree.get(part) for part in parts), *(part in found for part in parts)),
                complaints,
                lambda notes: ModelReader(kind, self.folder, place, notes).read(tree, found, refs),
            )
        if model is not None and "tolerance" in found:
            _check_tolerance(found["tolerance"], model, complaints)
        if model is not None and case is not None:
            _check_fits(model, case.dtype, complaints)
            if kind is not None:
                _check_integers(model, kind, complaints)
        if complaints:
            if partial:
                complaints.found = [item for item in complaints.found if not self.template.unfilled(item[0])]
            self._report(complaints, combination)
            return None
        if partial or case is None or model is None:
            return None
        variant = Variant(
            id=self.document.path + combination.suffix,
            path=self.document.path,
            about=case.about,
            layer=case.layer,
            config=model.config,
            sites=model.sites,
            inputs=model.inputs,
            weights=model.weights,
            seeds=tuple(case.seeds),
            mode=case.mode,
            draws=case.draws,
            predict={} if case.predict is None else case.predict.model_dump(exclude_none=True),
            dtype=case.dtype,
            gradients=bool(case.gradients),
            weight_gradients=case.gradients != "inputs",
            backends=refs,
            expect=expect,
            variant=combination.values,
            tolerance=case.tolerance,
            checks=tuple(case.checks),
            timeout=case.timeout,
            repeats=case.repeats,
            tags=tuple(case.tags),
            place=self.place,
            source=self.document.text,
            check_places=tuple(place(("checks", index)) for index in range(len(case.checks))),
        )
        _check_predict(variant, complaints)
        if complaints:
            self._report(complaints, combination)
            return None
        return variant

    def _kind(self, found: Mapping[str, Any], complaints: Complaints) -> LayerKind | None:
        name = found.get("layer")
        if name is None:
            return None
        kind = kinds().get(name)
        if kind is None:
            known = sorted(kinds())
            message = f"unknown layer {name!r}{did_you_mean(name, known)}; there are: {', '.join(known)}"
            complaints.add(("layer",), message)
        return kind

    def _once(self, what: str, parts: tuple[Any, ...], complaints: Complaints, make: Callable[[Complaints], T]) -> T:
        """`make(notes)`, remembered while all of `parts` stay the same objects; its complaints are repeated each time."""
        known = self._memo.get(what)
        if known is None or any(new is not old for new, old in zip(parts, known[0], strict=True)):
            notes = Complaints()
            known = (parts, make(notes), notes)
            self._memo[what] = known
        complaints.found.extend(known[2].found)
        result: T = known[1]
        return result

    def _report(self, complaints: Complaints, combination: Combination) -> None:
        for path, message, key in complaints.found:
            if len(self.problems) > MAX_PROBLEMS:
                return
            if len(self.problems) == MAX_PROBLEMS:
                more = f"has more than {MAX_PROBLEMS} problems; the rest is not shown"
                self.problems[Problem(more, Place(self.document.path))] = None
                return
            self.problems[self._problem(path, message, key, combination)] = None

    def _problem(self, path: Path, message: str, key: bool, combination: Combination) -> Problem:
        """A value that the matrix put in is shown where it stands there."""
        made = self.template.origin(path, combination) if combination.values and not key else None
        if made is None:
            return Problem(message, self.document.place(path, key=key), dotted(path))
        name, where = made
        text = f"{message} ({name}={value_text(combination.values[name])})"
        return Problem(text, self.document.place(where), dotted(path))


def _check_seeds(seeds: Sequence[int], complaints: Complaints) -> None:
    if len(set(seeds)) == len(seeds):
        return
    for index, seed in enumerate(seeds):
        if seed in seeds[:index]:
            complaints.add(("seeds", index), f"the seed {seed} stands twice")


def _check_tolerance(tolerance: Mapping[str, Any], model: Model, complaints: Complaints) -> None:
    """A limit for a row that no check makes would do nothing, silently."""
    rows = ["value", *(f"value.{name}" for name in model.outputs), "gradient"]
    rows += [f"gradient.{name}" for name in (*model.inputs, *model.weights)]
    for key in tolerance:
        if key not in rows:
            message = f"is no row that has a limit{did_you_mean(key, rows)}; there are: {', '.join(rows)}"
            complaints.add(("tolerance", key), message, key=True)


def _check_fits(model: Model, dtype: str, complaints: Complaints) -> None:
    """Numbers written in the case that the dtype does not hold; those of files are seen when they are read."""
    for part, specs in (("inputs", model.inputs), ("weights", model.weights)):
        for name, spec in specs.items():
            value = overflowing(spec, dtype)
            if value is not None:
                complaints.add((part, name), f"{name} holds {value:g}, which is too large for {dtype}")


def _check_integers(model: Model, kind: LayerKind, complaints: Complaints) -> None:
    """Tokens and lengths out of their range; those of files and of large arrays are seen when they are made."""
    shapes = {name: spec.shape for name, spec in model.inputs.items()}
    for name, (low, high) in kind.integer_inputs(model.config, shapes).items():
        message = misfit(model.inputs[name], low, high, name) if name in model.inputs else ""
        if message:
            complaints.add(("inputs", name), message)


def _check_predict(variant: Variant, complaints: Complaints) -> None:
    """`draws: predicted` and `predict` belong together, and a rule must cover every site that draws."""
    if variant.draws != "predicted":
        if variant.predict:
            complaints.add(("predict",), "says whose masks to replay; that needs draws: predicted", key=True)
        return
    if not variant.predict:
        complaints.add(("draws",), "needs `predict`: whose masks, for example predict: {like: torch.nn.Dropout}")
        return
    from harness.streams import Unpredictable, oracle

    unreleased = oracle.beyond(variant.predict)
    if unreleased:
        complaints.add(("predict", "version"), unreleased)
        return
    try:
        left = oracle.unpredicted(variant)
        if not left:
            oracle.tape(variant, variant.seeds[0])
    except (UserError, Unpredictable) as error:
        complaints.add(("predict", "like"), str(error))
        return
    if left:
        complaints.add(
            ("predict", "like"), f"no rule of {variant.predict['like']} predicts {', '.join(left)} of this layer"
        )
