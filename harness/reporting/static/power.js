// What a case could not notice: every fault of the catalogue, planted in the reference on the case's own data.
const FAULTS = D.faults ?? [];
const POWER_ROWS = D.powerRows ?? [];
const faultsOf = (one) => (one.power ?? []).map(([fault, ratio, by]) => ({ name: FAULTS[fault][0], cause: FAULTS[fault][1], ratio, by: POWER_ROWS[by], noticed: ratio === null || ratio > D.meta.noticed }));
const effect = (ratio) => ratio === null ? "more than any limit" : ratio === 0 ? "none" : ratio < 0.001 ? "below 0.001 × the limit" : `${short(ratio)} × the limit`;

const faultTable = (faults, caption, noticed) => el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, el("table", { class: "plain faults" },
  el("thead", {}, el("tr", {}, ["Fault", "Its effect", noticed ? "Noticed by" : "Nearest row"].map((text) => el("th", { scope: "col" }, text)))),
  el("tbody", {}, faults.map(({ name, cause, ratio, by }) => el("tr", {}, el("th", { scope: "row", title: name }, cause), el("td", {}, effect(ratio)), el("td", { class: "mono" }, by))))));

const powerOf = (one) => {
  const faults = faultsOf(one);
  if (!faults.length) return null;
  const missed = faults.filter(({ noticed }) => !noticed).sort((a, b) => b.ratio - a.ratio);
  const found = faults.filter(({ noticed }) => noticed);
  const hidden = found.filter(({ by }) => by.startsWith("gradient.")).length;
  const shown = missed.length > 14 ? 12 : missed.length;
  // A case that looks at masks alone compares no number that a fault of another kind could change.
  const blind = !found.length && missed.every(({ by }) => !by);
  return section("power", "What this case could not notice", "each known fault planted in the reference, on this case’s own data",
    el("p", { class: "lead" }, blind ? `Its checks compare neither outputs nor gradients: none of ${plural(faults.length, "fault")} would show in them.` : missed.length ? `${missed.length} of ${plural(faults.length, "fault")} would stay within the limits.` : `Nothing: all ${plural(faults.length, "fault")} would be noticed.`,
      hidden ? ` ${hidden} would show in gradients alone.` : ""),
    missed.length && !blind ? faultTable(missed.slice(0, shown), "Faults that would not be noticed", false) : null,
    blind || shown < missed.length ? el("details", {}, el("summary", {}, blind ? "The faults" : `${missed.length - shown} more`, blind ? el("small", {}, String(missed.length)) : null), faultTable(blind ? missed : missed.slice(shown), "More faults that would not be noticed", false)) : null,
    found.length === 0 ? null : el("details", {}, el("summary", {}, "Noticed", el("small", {}, String(found.length))), faultTable(found, "Faults that would be noticed", true)));
};

// Over the whole run: faults that apply to some case of a layer kind, and that none of them notices.
const powerSummary = () => {
  const judged = CASES.filter((one) => one.power?.length);
  if (!judged.length) return null;
  const kinds = new Map();
  for (const one of judged) for (const fault of faultsOf(one)) {
    const kind = kinds.get(one.layer) ?? kinds.set(one.layer, new Map()).get(one.layer);
    const seen = kind.get(fault.name) ?? kind.set(fault.name, { cause: fault.cause, noticed: 0, cases: [] }).get(fault.name);
    seen.noticed += fault.noticed;
    seen.cases.push(one);
  }
  const missed = [...kinds].flatMap(([layer, kind]) => [...kind].filter(([, { noticed }]) => !noticed).map(([name, { cause, cases }]) => ({ layer, name, cause, cases })));
  const total = [...kinds.values()].reduce((sum, kind) => sum + kind.size, 0);
  const text = missed.length ? `${missed.length} of ${total} faults go unnoticed by every case` : `No fault goes unnoticed by all cases`;
  return el("details", {}, el("summary", {}, text, el("small", {}, `${plural(total, "fault")} planted in ${plural(judged.length, "case")}, by layer kind`)),
    missed.length ? el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Faults that no case notices" }, el("table", { class: "plain" },
      el("thead", {}, el("tr", {}, ["Layer kind", "Fault", "Cases that it applies to"].map((title_) => el("th", { scope: "col" }, title_)))),
      el("tbody", {}, missed.map(({ layer, name, cause, cases }) => el("tr", {}, el("td", {}, layer), el("th", { scope: "row", title: name }, cause), el("td", {}, el("a", { href: link({ case: cases[0].id, at: "power" }, {}) }, cases.length === 1 ? cases[0].short : plural(cases.length, "case")))))))) : null,
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Cases by the faults that they notice" }, el("table", { class: "plain" },
      el("thead", {}, el("tr", {}, ["Layer kind", "Cases", "Faults", "Noticed by some case"].map((title_) => el("th", { scope: "col" }, title_)))),
      el("tbody", {}, [...kinds].map(([layer, kind]) => el("tr", {}, el("th", { scope: "row" }, layer), el("td", {}, String(judged.filter((one) => one.layer === layer).length)), el("td", {}, String(kind.size)), el("td", {}, String([...kind.values()].filter(({ noticed }) => noticed).length))))))));
};
