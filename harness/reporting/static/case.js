// The page of one case: what differs, every check, the masks, the source, and the command that runs it again.
const quoted = (text) => (/^[\w./:=@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\"'\"'")}'`);

const copyable = (text) => {
  const button = el("button", { type: "button", class: "button copy", onclick: async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      const range = document.createRange();
      range.selectNodeContents(button.previousElementSibling);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1600);
  } }, "Copy");
  return el("div", { class: "command" }, el("code", { class: "isolate" }, text), button);
};

// Measured against its limit on a logarithmic scale.
const gauge = ({ measured, limit }) => {
  if (typeof measured !== "number" || typeof limit !== "number" || limit <= 0 || measured <= 0) return null;
  const low = Math.log10(limit) - 3, high = Math.max(Math.log10(limit) + 1, Math.log10(measured) + 0.3);
  const at = (value) => Math.max(0, Math.min(1, (Math.log10(value) - low) / (high - low))) * 400;
  const over = measured > limit;
  return el("svg", { class: "gauge", viewBox: "0 0 400 20", preserveAspectRatio: "none", role: "img", "aria-label": `measured ${number(measured)}, limit ${number(limit)}, logarithmic scale` },
    el("rect", { class: "track", x: 0, y: 6, width: 400, height: 8, rx: 2 }),
    el("rect", { class: "good", x: 0, y: 6, width: at(over ? limit : measured), height: 8, rx: 2 }),
    over ? el("rect", { class: "over", x: at(limit), y: 6, width: at(measured) - at(limit), height: 8 }) : null,
    el("line", { class: "limit", x1: at(limit), x2: at(limit), y1: 1, y2: 19 }));
};

const differenceOf = (name, row) => {
  const ratio = typeof row.measured === "number" && row.limit > 0 ? row.measured / row.limit : 0;
  return el("article", { class: `difference v-${row.verdict.name}` },
    el("header", {}, badge(row.verdict), el("span", { class: "what mono" }, row.check), el("span", { class: "isolate" }, name), row.seed ? el("span", { class: "soft" }, `seed ${row.seed}`) : null),
    row.cause ? el("p", { class: "cause isolate" }, row.cause) : null,
    el("p", { class: "figures" },
      row.measured === null ? null : el("span", {}, "measured ", el("b", {}, number(row.measured)), row.unit ? ` ${row.unit}` : ""),
      row.limit === null ? null : el("span", {}, "limit ", el("b", {}, number(row.limit)), ratio > 1 ? `, ${number(Number(ratio.toPrecision(3)))} times` : ""),
      row.where ? el("span", { class: "isolate" }, "worst at ", el("b", {}, row.where)) : null,
      row.place ? el("span", { class: "isolate" }, row.place) : null,
      row.note ? el("span", { class: "isolate" }, row.note) : null),
    gauge(row));
};

// All that one cause explains of an implementation: the cause, its fix, and the checks that it shows in.
const causeOf = (name, rows) => {
  const [first] = rows;
  const seen = ({ measured, limit, where, cause }) => [
    typeof measured === "number" && limit > 0 && measured > limit ? `${number(Number((measured / limit).toPrecision(3)))} times its limit` : "",
    where ? `worst at ${where}` : "", cause].filter(Boolean).join("; ");
  return el("article", { class: `difference v-${first.verdict.name}` },
    el("header", {}, badge(first.verdict), el("span", { class: "isolate" }, name)),
    el("p", { class: "cause isolate" }, first.diagnosis),
    first.fix ? el("p", { class: "fix isolate" }, `Fix: ${first.fix}`) : null,
    first.proof ? el("p", { class: "soft isolate" }, first.proof) : null,
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `What it explains of ${name}` }, el("table", { class: "plain stack" },
      el("thead", {}, el("tr", {}, ["Check", "Seed", "Measured", "Limit", "Seen"].map((text) => el("th", { scope: "col" }, text)))),
      el("tbody", {}, rows.map((row) => el("tr", {}, el("th", { scope: "row", class: "mono" }, row.check), el("td", {}, row.seed), el("td", { class: "figure" }, number(row.measured)), el("td", { class: "figure" }, number(row.limit)), el("td", { class: "isolate" }, seen(row))))))),
    first.place ? el("p", { class: "figures" }, el("span", { class: "isolate" }, first.place)) : null);
};

// Articles, worst first: one for each cause of an implementation, and one for each row that has none.
const articlesOf = (rows) => {
  const groups = new Map();
  rows.forEach(([name, row], index) => {
    const key = row.diagnosis ? `${name}\u0000${row.diagnosis}` : index;
    groups.set(key, [...(groups.get(key) ?? []), [name, row]]);
  });
  return [...groups.values()].map((group) => group[0][1].diagnosis ? causeOf(group[0][0], group.map(([, row]) => row)) : differenceOf(...group[0]));
};

const panelOf = (name, check, rows) => el("div", { class: "panel", id: "panel", tabindex: "-1", role: "region", "aria-label": `${check} of ${name}` },
  el("h3", { class: "isolate" }, `${check} · ${name}`),
  el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Rows of this check" }, el("table", { class: "plain" },
    el("thead", {}, el("tr", {}, ["Verdict", "Seed", "Measured", "Limit", "Unit", "Worst at", "Cause and notes"].map((text) => el("th", { scope: "col" }, text)))),
    el("tbody", {}, rows.map((row) => el("tr", {}, el("td", {}, badge(row.verdict)), el("td", {}, row.seed), el("td", {}, number(row.measured)), el("td", {}, number(row.limit)), el("td", {}, row.unit), el("td", { class: "isolate" }, row.where), el("td", { class: "isolate" }, [row.cause, row.diagnosis, row.note, row.place].filter(Boolean).join("; "))))))));

const checksOf = (one, view) => {
  const all = D.order.filter((implementation) => one.cells.has(implementation));
  // What cannot express the case at all has no column, unless it is asked for.
  const unable = all.filter((implementation) => one.cells.get(implementation).worst.name === "unsupported" && rowsOf(one.cells.get(implementation)).every((row) => row.verdict.name === "unsupported") && D.implementations[implementation].name !== view.impl);
  const idle = unable.length < all.length ? unable : [];
  const columns = all.filter((implementation) => !idle.includes(implementation));
  const table = new Map();
  for (const implementation of columns) for (const row of rowsOf(one.cells.get(implementation))) {
    const line = table.get(row.check) ?? table.set(row.check, new Map()).get(row.check);
    line.set(implementation, [...(line.get(implementation) ?? []), row]);
  }
  const chosen = columns.find((implementation) => D.implementations[implementation].name === view.impl);
  const rows = view.check && chosen !== undefined ? table.get(view.check)?.get(chosen) : null;
  const cell = (check, implementation) => {
    const found = table.get(check).get(implementation);
    if (!found) return el("td", {});
    const worst = found.reduce((a, b) => (b.verdict.rank < a.verdict.rank ? b : a));
    const name = D.implementations[implementation].name;
    const open = rows === found;
    const value = worst.measured === null ? SHORT[worst.verdict.name] : number(worst.measured);
    return el("td", {}, el("button", {
      type: "button", class: `cell v-${worst.verdict.name}`, "aria-expanded": String(open), title: `${worst.verdict.words}${worst.diagnosis || worst.cause ? `: ${worst.diagnosis || worst.cause}` : ""}`,
      "aria-label": `${check} of ${name}: ${worst.verdict.words}${worst.measured === null ? "" : `, measured ${number(worst.measured)}`}`,
      onclick: () => go(open ? { check: "", impl: "" } : { check, impl: name }, true),
    }, el("i", { "aria-hidden": "true" }, worst.verdict.sign), value));
  };
  return section("checks", "Checks", "what was measured; press one for its limit, seeds and notes",
    el("div", { class: "scroll" }, el("table", { class: columns.length > 12 ? "checks many" : "checks" },
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Check"), columns.map((implementation) => {
        const { backend, short, version, environment } = D.implementations[implementation];
        return el("th", { scope: "col", title: version }, el("span", {}, el("small", {}, backend, environment ? ` @${environment}` : ""), short === backend ? "" : dotted(short)));
      }))),
      el("tbody", {}, [...table.keys()].map((check) => el("tr", {}, el("th", { scope: "row", class: "mono" }, check), columns.map((implementation) => cell(check, implementation))))))),
    rows ? panelOf(D.implementations[chosen].name, view.check, rows) : null,
    idle.length ? el("details", { class: "idle" }, el("summary", {}, "Cannot express it", el("small", {}, plural(idle.length, "implementation"))),
      el("dl", {}, idle.map((implementation) => [el("dt", { class: "isolate" }, D.implementations[implementation].name), el("dd", { class: "soft isolate" }, [...new Set(rowsOf(one.cells.get(implementation)).map((row) => row.cause))].join("; "))]))) : null);
};

// YAML with its keys and comments told apart; lines that a difference points at are marked.
const sourceOf = (one) => {
  const text = D.sources[one.source];
  if (!text) return null;
  const marked = new Set([...one.cells.values()].flatMap((cell) => rowsOf(cell)).filter((row) => row.place && !QUIET.has(row.verdict.name)).map((row) => Number(row.place.slice(one.path.length + 1).split(":")[0])));
  const line = (content, index) => {
    const [, before, key, rest] = content.match(/^(\s*(?:- )?)([\w.-]+:(?=\s|$))?(.*)$/s);
    const comment = rest.match(/^(.*?)((?:^|\s)#.*)$/s);
    return el("span", { class: marked.has(index + 1) ? "line marked" : "line" }, before, key ? el("span", { class: "key" }, key) : null,
      comment && !/["']/.test(comment[1]) ? [comment[1], el("span", { class: "comment" }, comment[2])] : rest);
  };
  return section("source", "Source", one.path,
    el("div", { class: "scroll" }, el("pre", { class: "source", tabindex: "0", "aria-label": `Source of ${one.path}` }, el("code", {}, text.replace(/\n+$/, "").split("\n").map(line)))));
};

// What implementations were measured to do: entries in which they differ first, each value with those that have it.
const profileOf = (one) => {
  if (!one.profiles.length) return null;
  const entries = new Map();
  for (const [backend, index] of one.profiles) for (const [key, value] of PROFILES[index]) {
    const values = entries.get(key) ?? entries.set(key, new Map()).get(key);
    values.set(value, [...(values.get(value) ?? []), backend]);
  }
  const line = ([key, values]) => el("div", { class: values.size > 1 ? "entry differs" : "entry" },
    el("dt", { class: "isolate" }, key),
    el("dd", {}, [...values].map(([value, backends]) => el("div", { class: "value" }, el("span", { class: "isolate" }, value),
      values.size > 1 || backends.length < one.profiles.length ? el("small", { class: "isolate" }, backends.flatMap((text, i) => [i ? ", " : "", ...dotted(text)])) : null))));
  const lines = [...entries];
  const differ = lines.filter(([, values]) => values.size > 1);
  const same = lines.filter(([, values]) => values.size === 1);
  return el("section", { "aria-labelledby": "profile" },
    el("h2", { id: "profile", tabindex: "-1" }, "What was measured", el("small", {}, "from the draws and outputs of each implementation, never from a table"),
      one.profiles.length > 1 ? el("a", { class: "aside", href: link({ profiles: "1", a: one.profiles[0][0], b: one.profiles[1][0], ac: one.id, bc: one.id }, {}) }, "Compare two") : null),
    differ.length ? el("dl", { class: "entries" }, differ.map(line)) : null,
    same.length ? el("details", { open: !differ.length }, el("summary", {}, differ.length ? "The same in all" : "The same in all implementations", el("small", {}, String(same.length))), el("dl", { class: "entries" }, same.map(line))) : null);
};

// What a worker said last, or the traceback, of a comparison that gave nothing.
const detailsOf = (one) => one.details.length ? el("section", { "aria-label": "Tracebacks" }, el("h2", {}, "Tracebacks"),
  one.details.map(([name, text]) => el("details", { class: "trace" }, el("summary", { class: "isolate" }, name), el("div", { class: "scroll" }, el("pre", { class: "isolate", tabindex: "0", "aria-label": `Traceback of ${name}` }, text))))) : null;

const listOf = (title, rows) => {
  if (!rows.length) return null;
  const articles = articlesOf(rows);
  const [first, rest] = [articles.slice(0, 12), articles.slice(12)];
  return el("section", { "aria-label": title }, el("h2", {}, title), first,
    rest.length ? el("details", {}, el("summary", {}, `${rest.length} more`), rest) : null);
};

const casePage = (one, view) => {
  const columns = D.order.filter((implementation) => one.cells.has(implementation));
  const rows = columns.flatMap((implementation) => rowsOf(one.cells.get(implementation)).map((row) => [D.implementations[implementation].name, row]));
  const order = ([, a], [, b]) => a.verdict.rank - b.verdict.rank;
  const differing = rows.filter(([, row]) => !QUIET.has(row.verdict.name)).sort(order);
  const known = rows.filter(([, row]) => row.verdict.name === "known");
  const around = matching(view).sort(SORTS[view.sort]?.[1] ?? SORTS.worst[1]);
  const at = around.indexOf(one);
  const again = el("section", { "aria-labelledby": "again" }, el("h2", { id: "again" }, "Run it again"), copyable(`harness run ${quoted(one.id)}${view.impl ? ` --backend ${quoted(D.implementations.find((found) => found.name === view.impl)?.label ?? view.impl)}` : ""}`));
  const near = (other, text, key) => other ? el("a", { href: link({ case: other.id, check: "", impl: "", of: "", at: "" }), rel: key }, text) : null;
  const charts = chartsOf(one);
  const problems = charts.filter(({ problem }) => problem);
  const parts = [
    ["programs", "The two programs", programsOf(charts)],
    ["checks", "Checks", checksOf(one, view)],
    ["numbers", "Against the reference", numbersOf(one, charts, view)],
    ["scale", "Survivors’ scale", scaleOf(charts)],
    ["noise", "Noise", noiseOf(charts)],
    ["states", "States", statesOf(charts)],
    ["", "", problems.length ? el("p", { class: "soft isolate" }, "Not drawn: ", problems.map(({ label, problem }) => `${label} (${problem})`).join("; ")) : null],
    ["", "", detailsOf(one)],
    ["masks", "Masks", masksOf(one)],
    ["profile", "What was measured", profileOf(one)],
    ["power", "Not noticed", powerOf(one)],
    ["source", "Source", differing.length + known.length ? null : sourceOf(one)],
  ].filter(([, , part]) => part);
  return [
    el("nav", { class: "back", "aria-label": "Cases" },
      el("a", { href: link({ case: "", check: "", impl: "", of: "", at: "" }), id: "back" }, "← All cases"),
      el("span", { class: "push" }, near(around[at - 1], "Previous", "prev"), at < 0 ? null : near(around[at + 1], "Next", "next"))),
    el("div", { class: "case-head" },
      el("h1", { tabindex: "-1", id: "title" }, el("span", { class: "isolate" }, dotted(one.short.replaceAll("/", " / "))), one.text ? el("span", { class: "soft isolate" }, one.text) : null, one.worst ? badge(one.worst) : null),
      one.about ? el("p", { class: "about isolate" }, one.about.trim()) : null,
      el("dl", { class: "profile" }, [["layer", one.layer], ...one.facts, ...one.sites.map(({ at: name, text }) => [`dropout at ${name}`, text])].map(([name, text]) => el("div", {}, el("dt", {}, name), el("dd", { class: "isolate" }, text)))),
      el("nav", { class: "contents", "aria-label": "On this page" }, parts.filter(([id]) => id).map(([id, text]) => el("a", { href: link({ at: id }) }, text)))),
    differing.length + known.length
      ? el("div", { class: "columns" }, el("div", {}, listOf(plural(differing.length, "difference"), differing), listOf("Known differences", known)), el("div", {}, again, sourceOf(one)))
      : again,
    ...parts.map(([, , part]) => part),
  ].filter(Boolean);
};
