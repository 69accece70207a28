// Measured profiles of the whole run: what any two implementations do differently, and all of them side by side.
const profilesOf = new Map();
for (const one of CASES) for (const [label, index] of one.profiles) {
  const own = profilesOf.get(label) ?? profilesOf.set(label, new Map()).get(label);
  own.set(one, PROFILES[index]);
}

// Pairs of profiles to compare, each with the cases that they stand for: in the same case, or in two chosen ones.
const pairsOf = (first, second, firstCase, secondCase) => {
  const ours = profilesOf.get(first) ?? new Map(), theirs = profilesOf.get(second) ?? new Map();
  if (firstCase || secondCase) {
    const one = byId.get(firstCase || secondCase), other = byId.get(secondCase || firstCase);
    return ours.has(one) && theirs.has(other) ? [[one, other, ours.get(one), theirs.get(other)]] : [];
  }
  return [...ours].filter(([one]) => theirs.has(one)).map(([one, profile]) => [one, one, profile, theirs.get(one)]);
};

// Entries in which pairs differ: one line for each entry and pair of values, with its cases.
const differencesOf = (pairs) => {
  const lines = new Map();
  for (const [one, , ours, theirs] of pairs) for (const entry of new Set([...ours.keys(), ...theirs.keys()])) {
    const a = ours.get(entry) ?? "", b = theirs.get(entry) ?? "";
    if (a === b) continue;
    const key = [entry, a, b].join("\n");
    (lines.get(key) ?? lines.set(key, { entry, a, b, cases: [] }).get(key)).cases.push(one);
  }
  return [...lines.values()];
};

const betweenOf = (view, labels) => {
  // Unless others are asked for: what was measured most, and what shares most cases with it.
  const together = (label, other) => [...profilesOf.get(label).keys()].filter((one) => profilesOf.get(other).has(one)).length;
  const most = (among, count) => among.reduce((best, label) => (best === undefined || count(label) > count(best) ? label : best), undefined);
  const first = profilesOf.has(view.a) ? view.a : most(labels, (label) => profilesOf.get(label).size);
  const second = profilesOf.has(view.b) ? view.b : most(labels.filter((label) => label !== first), (label) => together(first, label)) ?? first;
  const pick = (id, text, chosen, names, change) => el("label", {}, text, el("select", { id, onchange: ({ target }) => go(change(target.value), true) },
    names.map(([value, shown]) => el("option", { value, selected: value === chosen }, shown))));
  const casesOf = (label) => [["", "all that both have"], ...[...(profilesOf.get(label) ?? new Map()).keys()].map((one) => [one.id, `${one.short} ${one.text}`])];
  const named = labels.map((label) => [label, label]);
  const pairs = pairsOf(first, second, view.ac, view.bc);
  const lines = differencesOf(pairs);
  const shown = (text) => text ? el("span", { class: "isolate" }, text) : el("span", { class: "soft" }, "not measured");
  const found = !pairs.length ? "They were measured in no case together: choose a case for each."
    : !lines.length ? `Measured to do the same in ${plural(pairs.length, "case")}.`
    : `${plural(lines.length, "entry").replace("entrys", "entries")} differ${lines.length === 1 ? "s" : ""}, in ${plural(pairs.length, "case")} compared.`;
  return el("section", { "aria-labelledby": "between" },
    el("h2", { id: "between" }, "What differs between two"),
    el("form", { class: "tools pick", onsubmit: (event) => event.preventDefault() },
      pick("first", "First", first, named, (value) => ({ a: value, b: second, ac: "" })),
      pick("first-case", "in case", view.ac ?? "", casesOf(first), (value) => ({ ac: value })),
      pick("second", "Second", second, named, (value) => ({ a: first, b: value, bc: "" })),
      pick("second-case", "in case", view.bc ?? "", casesOf(second), (value) => ({ bc: value }))),
    el("p", { class: "soft found", role: "status", "aria-live": "polite" }, found),
    lines.length ? el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Entries that differ" }, el("table", { class: "plain between" },
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Entry"), el("th", { scope: "col", class: "isolate" }, first), el("th", { scope: "col", class: "isolate" }, second), el("th", { scope: "col" }, "Cases"))),
      el("tbody", {}, lines.map(({ entry, a, b, cases }) => el("tr", {}, el("th", { scope: "row", class: "isolate" }, entry), el("td", {}, shown(a)), el("td", {}, shown(b)),
        el("td", {}, el("a", { href: link({ case: cases[0].id }, {}), class: "isolate" }, cases.length === 1 ? `${cases[0].short} ${cases[0].text}` : plural(cases.length, "case")))))))) : null);
};

// One layer kind: implementations that were measured alike stand in one row; a column for each entry in which rows differ.
const kindOfProfiles = (layer, labels) => {
  const tables = labels.map((label) => {
    const values = new Map();
    for (const [one, profile] of profilesOf.get(label)) if (one.layer === layer) for (const [entry, text] of profile) {
      values.set(entry, values.has(entry) && values.get(entry) !== text ? null : text);
    }
    return [label, values];
  });
  const entries = [...new Set(tables.flatMap(([, values]) => [...values.keys()]))];
  // What depends on the case in every implementation says nothing of any.
  const telling = entries.filter((entry) => tables.some(([, values]) => values.get(entry)));
  const differing = telling.filter((entry) => new Set(tables.map(([, values]) => values.get(entry))).size > 1);
  const same = telling.filter((entry) => !differing.includes(entry));
  const rows = new Map();
  for (const [label, values] of tables) {
    const key = differing.map((entry) => values.get(entry)).join("\n");
    (rows.get(key) ?? rows.set(key, { labels: [], values }).get(key)).labels.push(label);
  }
  const cell = (text) => el("td", { class: text ? "isolate" : "soft" }, text === null ? "by case" : text ?? "—");
  return el("details", { class: "kind" }, el("summary", {}, layer, el("small", {}, `${plural(labels.length, "implementation")}, ${rows.size === 1 ? "one profile" : plural(rows.size, "different profile")}`)),
    same.length ? el("p", { class: "soft isolate" }, "In all: ", same.map((entry) => `${entry}: ${tables[0][1].get(entry)}`).join("; ")) : null,
    differing.length ? el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Profiles of ${layer}` }, el("table", { class: "plain profiles" },
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Implementations"), differing.map((entry) => el("th", { scope: "col", class: "isolate" }, entry)))),
      el("tbody", {}, [...rows.values()].map(({ labels: names, values }) => el("tr", {}, el("th", { scope: "row" }, names.map((name) => el("div", { class: "isolate" }, dotted(name)))), differing.map((entry) => cell(values.get(entry)))))))) : null);
};

const profilesPage = (view) => {
  const labels = [...profilesOf.keys()].sort((a, b) => a.localeCompare(b, "en"));
  const layers = [...new Set(CASES.filter((one) => one.profiles.length).map((one) => one.layer))].sort();
  return [
    el("nav", { class: "back", "aria-label": "Cases" }, el("a", { href: "#", id: "back" }, "← All cases")),
    el("div", { class: "case-head" }, el("h1", { tabindex: "-1", id: "title" }, "Measured profiles"),
      el("p", { class: "about" }, "What each implementation was measured to do, from its draws, outputs and own parameters, never from a table.")),
    labels.length ? betweenOf(view, labels) : el("p", { class: "empty" }, "Nothing was measured in this run."),
    layers.length ? el("section", { "aria-labelledby": "all-profiles" }, el("h2", { id: "all-profiles" }, "Side by side", el("small", {}, "by layer kind; what is the same in every case of an implementation")),
      layers.map((layer) => kindOfProfiles(layer, labels.filter((label) => [...profilesOf.get(label).keys()].some((one) => one.layer === layer))))) : null,
  ].filter(Boolean);
};
