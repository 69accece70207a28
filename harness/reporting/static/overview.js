// The overview: what differs, and the matrix of cases by implementations, one table for each layer kind and folder.
const ROW = 34;
const WINDOW = 300;

const badge = (verdict) => el("span", { class: `badge v-${verdict.name}` }, el("i", { "aria-hidden": "true" }, verdict.sign), verdict.words);

const cellOf = (one, implementation) => {
  const cell = one.cells.get(implementation);
  if (!cell) return el("td", {});
  const { worst, worstCount, packed } = cell;
  const name = D.implementations[implementation].name;
  const counted = `${worst.words}, ${worst.name === "pass" ? plural(packed.length, "check") : `${worstCount} of ${plural(packed.length, "check")}`}`;
  return el("td", {}, el("a", {
    class: `cell v-${worst.name}`, tabindex: "-1", title: `${name}: ${counted}`, "aria-label": `${name}: ${counted}`,
    href: link({ case: one.id, impl: name }, state()),
  }, el("i", { "aria-hidden": "true" }, worst.sign), SHORT[worst.name], worst.name === "pass" || worst.name === "unsupported" ? null : el("small", {}, String(worstCount))));
};

const matrixRow = (columns, folder) => (one, index) => el("tr", { "aria-rowindex": index + 3 },
  el("th", { scope: "row", title: one.id }, el("a", { href: link({ case: one.id }, state()), "data-case": one.id, class: "isolate" }, folder && one.short.startsWith(`${folder}/`) ? one.short.slice(folder.length + 1) : one.short),
    one.text ? el("span", { class: "soft isolate" }, one.text) : null),
  columns.map((implementation) => cellOf(one, implementation)));

// Rows of a long table exist only while they can be seen; spacers stand for the rest.
const windowed = (box, body, items, render, columns) => {
  if (items.length <= WINDOW) {
    body.replaceChildren(...items.map(render));
    return;
  }
  const spacer = () => el("tr", { class: "spacer", "aria-hidden": "true" }, el("td", { colspan: columns }));
  let shown = "";
  const update = () => {
    const all = matchMedia("print").matches;
    const from = all ? 0 : Math.max(0, Math.floor(box.scrollTop / ROW) - 10);
    const to = all ? items.length : Math.min(items.length, from + Math.ceil((box.clientHeight || 900) / ROW) + 24);
    if (shown === `${from}:${to}`) return;
    shown = `${from}:${to}`;
    const above = spacer(), below = spacer();
    above.style.height = `${from * ROW}px`;
    below.style.height = `${(items.length - to) * ROW}px`;
    const focused = body.contains(document.activeElement) ? document.activeElement.dataset.case : null;
    body.replaceChildren(above, ...items.slice(from, to).map((one, i) => render(one, from + i)), below);
    if (focused) body.querySelector(`[data-case="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  };
  box.addEventListener("scroll", update, { passive: true });
  addEventListener("beforeprint", update);
  addEventListener("afterprint", update);
  new ResizeObserver(update).observe(box);
  update();
};

const matrixOf = (name, cases) => {
  const [layer, folder] = name.split("\n");
  const title = folder && folder !== layer ? `${layer} in ${folder}` : layer;
  const used = new Set(cases.flatMap((one) => [...one.cells.keys()]));
  // A column in which nothing could be expressed says nothing; it is counted above the table and listed below all tables.
  const empty = new Set([...used].filter((implementation) => cases.every((one) => (one.cells.get(implementation)?.worst.name ?? "unsupported") === "unsupported")));
  if (empty.size === used.size) empty.clear();
  const columns = D.order.filter((implementation) => used.has(implementation) && !empty.has(implementation));
  const starts = new Set(columns.filter((implementation, i) => i === 0 || D.implementations[columns[i - 1]].backend !== D.implementations[implementation].backend));
  const body = el("tbody");
  const table = el("table", { class: "matrix", "aria-rowcount": cases.length + 2, "aria-label": `${title}: cases by implementations` });
  table.style.setProperty("--columns", columns.length);
  const box = el("div", { class: "scroll matrix-box" }, table);
  const groupOf = (implementation) => `${D.implementations[implementation].backend}${D.implementations[implementation].environment ? ` @${D.implementations[implementation].environment}` : ""}`;
  const spans = [];
  for (const implementation of columns) {
    const name_ = groupOf(implementation);
    if (spans.at(-1)?.[0] === name_) spans.at(-1)[1] += 1;
    else spans.push([name_, 1, starts.has(implementation)]);
  }
  table.append(
    el("colgroup", {}, el("col", { class: "case" }), columns.map(() => el("col", { class: "cell" }))),
    el("thead", {},
      el("tr", { class: "backends" }, el("th", { class: "corner", rowspan: 2, scope: "col" }, plural(cases.length, "case")),
        spans.map(([name_, count]) => el("th", { scope: "colgroup", colspan: count, class: "first" }, el("span", { class: "isolate" }, name_)))),
      el("tr", {}, columns.map((implementation, i) => {
        const { short: text, name: full } = D.implementations[implementation];
        return el("th", { scope: "col", class: i === 0 || groupOf(columns[i - 1]) !== groupOf(implementation) ? "first" : null, title: full }, el("span", {}, dotted(text)));
      }))),
    body);
  requestAnimationFrame(() => windowed(box, body, cases, matrixRow(columns, folder), columns.length + 1));
  body.addEventListener("keydown", arrows);
  const differing = cases.reduce((sum, one) => sum + one.differing, 0);
  const counted = [plural(cases.length, "case"), differing ? plural(differing, "difference") : "", empty.size ? `${plural(empty.size, "more implementation")} unsupported` : ""].filter(Boolean).join(", ");
  return el("section", { "aria-label": title },
    el("h2", { class: "isolate" }, title, el("small", {}, counted)), box);
};

// Arrow keys move among the cells of a matrix; only a row's heading is a tab stop.
const arrows = (event) => {
  const steps = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] }[event.key];
  const here = event.target.closest("td, th");
  if (!steps || !here) return;
  event.preventDefault();
  let row = here.parentElement, column = here.cellIndex;
  for (;;) {
    if (steps[0]) row = steps[0] > 0 ? row.nextElementSibling : row.previousElementSibling;
    column += steps[1];
    const target = row?.cells?.[column];
    if (!target || row.classList.contains("spacer")) return;
    const inner = target.querySelector("a");
    if (inner) {
      inner.focus();
      return;
    }
  }
};

// Differences (or known ones) of one implementation that have one cause, its figures aside, are one line (as harness/reporting/groups.py).
const groupsOf = (wanted) => {
  const groups = new Map();
  for (const one of CASES) for (const [implementation, cell] of one.cells) {
    if (!cell.packed.some((row) => wanted(kindOf(row).verdict))) continue;
    for (const row of rowsOf(cell)) {
      if (!wanted(row.verdict)) continue;
      const named = row.diagnosis ? ["cause", row.diagnosis] : [row.verdict.rank, row.cause || row.check];
      const key = [implementation, named[0], named[1].replace(/[\d.]+/g, "#")].join("\u0000");
      const group = groups.get(key) ?? { ...row, implementation, cases: new Map(), checks: new Set(), most: 0 };
      if (row.verdict.rank < group.verdict.rank) group.verdict = row.verdict;
      group.cases.set(one, group.cases.get(one) ?? row.check);
      group.checks.add(row.check);
      if (typeof row.measured === "number" && row.limit > 0) group.most = Math.max(group.most, row.measured / row.limit);
      groups.set(key, group);
    }
  }
  return [...groups.values()].sort((a, b) => a.verdict.rank - b.verdict.rank || b.cases.size - a.cases.size || b.most - a.most);
};

const FIRST = 6;
const groupTable = (groups, title) => groups.length <= FIRST + 2 ? groupRows(groups, title) : [
  groupRows(groups.slice(0, FIRST), title),
  el("details", {}, el("summary", {}, `${groups.length - FIRST} more`), groupRows(groups.slice(FIRST), `${title}, continued`)),
];

const groupRows = (groups, title) => el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${title}, as a table` }, el("table", { class: "plain stack" },
  el("thead", {}, el("tr", {}, ["Verdict", "Implementation", "Cause", "Checks", "Cases"].map((text) => el("th", { scope: "col" }, text)))),
  el("tbody", {}, groups.map((group) => el("tr", {},
    el("td", {}, badge(group.verdict)),
    el("td", { class: "isolate" }, dotted(D.implementations[group.implementation].name)),
    el("th", { scope: "row", class: "isolate" }, group.diagnosis || group.cause || (group.most ? `${number(Number(group.most.toPrecision(3)))} times its limit` : group.verdict.meaning),
      group.fix ? el("div", { class: "fix" }, `Fix: ${group.fix}`) : null),
    el("td", { class: "mono" }, [...group.checks].slice(0, 3).join(", "), group.checks.size > 3 ? ` and ${group.checks.size - 3} more` : ""),
    el("td", {}, caseLinks(group)))))));

const caseLinks = ({ cases, implementation }) => {
  const anchor = ([one, check]) => el("a", { class: "isolate", href: link({ case: one.id, check, impl: D.implementations[implementation].name }, {}) }, dotted(one.short), one.text ? ` ${one.text}` : "");
  const [first, ...others] = cases;
  if (!others.length) return anchor(first);
  return el("details", { class: "more" }, el("summary", {}, anchor(first), el("span", { class: "soft" }, ` and ${others.length} more`)),
    others.map((other) => el("div", {}, anchor(other))));
};

const folded = (title, groups) => groups.length ? el("details", {}, el("summary", {}, title, el("small", {}, String(groups.length))), groupTable(groups, title)) : null;

const overview = (view) => {
  const found = matching(view).sort(SORTS[view.sort]?.[1] ?? SORTS.worst[1]);
  const layers = new Map();
  for (const one of found) {
    const key = `${one.layer}\n${one.short.includes("/") ? one.short.slice(0, one.short.lastIndexOf("/")) : ""}`;
    layers.has(key) ? layers.get(key).push(one) : layers.set(key, [one]);
  }
  const filtered = view.q || view.show || view.layer;
  const differing = filtered ? [] : groupsOf(({ name }) => !QUIET.has(name));
  return [
    differing.length ? el("section", {}, el("h2", {}, "What differs", el("small", {}, "one line for each implementation and cause")), groupTable(differing, "What differs")) : null,
    [...layers].map(([layer, cases]) => matrixOf(layer, cases)),
    filtered || !D.profiles.length ? null : el("p", { class: "onward" }, el("a", { href: link({ profiles: "1" }, {}) }, "Measured profiles"), ": what any two implementations do differently"),
    found.length ? null : el("p", { class: "empty" }, "No case matches. ", el("a", { href: "#" }, "Show all")),
    filtered ? null : el("section", { class: "groups", "aria-label": "More" },
      powerSummary(),
      folded("Known differences, with their reasons", groupsOf(({ name }) => name === "known")),
      folded("Not supported or not installed", groupsOf(({ name }) => name === "unsupported"))),
  ].flat().filter(Boolean);
};

const toolsOf = (view) => {
  const layers = [...new Set(CASES.map((one) => one.layer))].sort();
  let waiting;
  const options = (pairs, chosen) => pairs.map(([value, text]) => el("option", { value, selected: value === chosen }, text));
  return el("form", { class: "tools", role: "search", onsubmit: (event) => event.preventDefault() },
    el("label", { class: "grow" }, "Search case, implementation, check or cause",
      el("input", { type: "search", id: "search", value: view.q ?? "", autocomplete: "off", spellcheck: "false", oninput: ({ target }) => {
        clearTimeout(waiting);
        waiting = setTimeout(() => go({ q: target.value }, true), 120);
      } })),
    layers.length > 1 ? el("label", {}, "Layer kind", el("select", { onchange: ({ target }) => go({ layer: target.value }, true) },
      options([["", "all"], ...layers.map((layer) => [layer, layer])], view.layer ?? ""))) : null,
    el("label", {}, "Order", el("select", { onchange: ({ target }) => go({ sort: target.value }, true) },
      options(Object.entries(SORTS).map(([key, [text]]) => [key === "worst" ? "" : key, text]), view.sort ?? ""))));
};
