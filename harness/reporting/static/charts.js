// Charts of a case: small SVGs, one for each group of implementations that have the same figures. Nothing is compared here;
// harness/comparison/charts.py has the figures. Every chart has its numbers in words as its name.
const chart = (height, label, ...parts) => el("svg", { class: "chart", viewBox: `0 0 300 ${height}`, role: "img", "aria-label": label }, ...parts);
const write = (x, y, text, anchor = "start", kind = "") => el("text", { x, y, "text-anchor": anchor, class: kind || null }, text);
const stroke = (kind, d) => el("path", { class: kind, d });
const pathOf = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
const POWERS = "⁰¹²³⁴⁵⁶⁷⁸⁹";
const power = (base, exponent) => `${base}${exponent < 0 ? "⁻" : ""}${[...String(Math.abs(exponent))].map((digit) => POWERS[digit]).join("")}`;
const short = (value) => number(typeof value === "number" ? Number(value.toPrecision(3)) : value);

// Implementations whose figures are the same are one card, with the names of all.
const alike = (entries, keyOf) => {
  const groups = new Map();
  for (const entry of entries) {
    const key = JSON.stringify(keyOf(entry));
    (groups.get(key) ?? groups.set(key, []).get(key)).push(entry);
  }
  return [...groups.values()];
};
// A long list is folded: `of` says how many implementations there are in all.
const namesOf = (entries, of = 0) => {
  const list = el("ul", {}, entries.map(({ label }) => el("li", { class: "isolate" }, dotted(label))));
  if (entries.length <= 5) return list;
  return el("details", { class: "names" }, el("summary", {}, `${entries.length === of ? "All " : ""}${entries.length} implementations`), list);
};

// What was stored of each implementation of a case, in the order of the columns.
const chartsOf = (one) => (one.charts ?? []).map(([label, figures]) => {
  const implementation = D.order.find((n) => D.implementations[n].label === label);
  const rows = implementation === undefined || !one.cells.has(implementation) ? [] : rowsOf(one.cells.get(implementation));
  const results = new Map((figures.results ?? []).map(([check, ulps, worst, steps = null, per = 1, of = 0]) => [check, { ulps, worst, steps, per, of }]));
  return { label, implementation, rows, ...figures, results };
}).sort((a, b) => (place.get(a.implementation) ?? 1e9) - (place.get(b.implementation) ?? 1e9));

// The largest error at each time step on a logarithmic scale; zero has a line of its own at the bottom.
const BOTTOM = 92, TOP = 12, LEFT = 40, RIGHT = 292, ZERO = 106;
const overTime = (steps, per, of, limit, others, [low, high]) => {
  const across = (i) => LEFT + 6 + (steps.length > 1 ? (i * (RIGHT - LEFT - 12)) / (steps.length - 1) : (RIGHT - LEFT - 12) / 2);
  const level = (power10) => BOTTOM - ((power10 - low) / (high - low)) * (BOTTOM - TOP);
  const down = (value) => typeof value !== "number" ? TOP - 4 : value === 0 ? ZERO : level(Math.log10(value));
  const line = (values) => pathOf(values.map((value, i) => [across(i), down(value)]));
  const over = (value) => limit !== null && (typeof value !== "number" || value > limit);
  const every = Math.max(1, Math.ceil((high - low) / 3));
  const ticks = [];
  for (let tick = low; tick <= high; tick += every) ticks.push(tick);
  const worst = steps.reduce((best, value, i) => (down(value) < down(steps[best]) ? i : best), 0);
  const last = of - 1;
  const at = per > 1 ? `steps ${worst * per} to ${Math.min(last, worst * per + per - 1)}` : `step ${worst}`;
  const label = `Largest error at each of ${per > 1 ? `${steps.length} points of ${per} steps` : plural(steps.length, "time step")}: ${short(steps[worst])} at ${at}${limit === null ? "" : `, limit ${short(limit)}`}, logarithmic scale`;
  return chart(126, label,
    ticks.map((tick) => [el("line", { class: "grid", x1: LEFT, x2: RIGHT, y1: level(tick), y2: level(tick) }), write(LEFT - 5, level(tick) + 4, power(10, tick), "end")]),
    el("line", { class: "grid", x1: LEFT, x2: RIGHT, y1: ZERO, y2: ZERO }), write(LEFT - 5, ZERO + 4, "0", "end"),
    others.length ? stroke("others", others.map((one) => line(one)).join("")) : null,
    limit !== null && limit > 0 ? [el("line", { class: "limit", x1: LEFT, x2: RIGHT, y1: level(Math.log10(limit)), y2: level(Math.log10(limit)) }), write(RIGHT, level(Math.log10(limit)) - 4, "limit", "end")] : null,
    stroke("own", line(steps)),
    steps.map((value, i) => over(value) ? stroke("over", `M${across(i) - 4} ${down(value) - 4}l8 8m0 -8l-8 8`)
      : steps.length <= 32 || i === worst ? el("circle", { class: "own", cx: across(i), cy: down(value), r: 2.4 }) : null),
    write(LEFT, 122, "step 0"), of > 1 ? write(RIGHT, 122, String(last), "end") : null);
};

// Elements by their distance in ULPs: 0, 1, 2, up to 4, up to 8, …
const ulpsOf = (counts, most) => {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const width = (RIGHT - LEFT) / most;
  const label = (k) => (k === 0 ? "0" : k < 8 ? String(2 ** (k - 1)) : power(2, k - 1));
  const peak = Math.max(...counts) / total;
  const every = Math.ceil(most / 9);
  const spoken = counts.map((count, k) => (count ? `${k === 0 ? "exactly equal" : k === 1 ? "1 ULP" : `up to ${2 ** (k - 1)} ULPs`}: ${count.toLocaleString("en")}` : "")).filter(Boolean).join("; ");
  return chart(108, `${total.toLocaleString("en")} elements by their distance from the reference. ${spoken}`,
    el("line", { class: "grid", x1: LEFT, x2: RIGHT, y1: 86, y2: 86 }),
    counts.map((count, k) => {
      if (!count) return null;
      const height = Math.max(1.5, (count / total / peak) * 66);
      const share = (count / total) * 100;
      const x = LEFT + k * width;
      return [el("rect", { class: "bar", x: x + width * 0.1, y: 86 - height, width: width * 0.8, height, rx: Math.min(1.5, width / 6) }),
        width >= 24 || count / total === peak ? write(x + width / 2, 82 - height, share >= 99.5 || share < 0.5 && count ? (share >= 99.5 ? (count === total ? "all" : ">99 %") : "<1 %") : `${Math.round(share)} %`, "middle") : null];
    }),
    Array.from({ length: most }, (_, k) => (k % every === 0 ? write(LEFT + (k + 0.5) * width, 100, label(k), "middle") : null)),
    write(LEFT - 5, 100, "ULP", "end"));
};

const elementsTable = (worst) => worst.length ? el("details", { class: "worst" }, el("summary", {}, "Worst elements"),
  el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Worst elements" }, el("table", { class: "plain" },
    el("thead", {}, el("tr", {}, ["At", "Seed", "Got", "Expected", "Off by"].map((text) => el("th", { scope: "col" }, text)))),
    el("tbody", {}, worst.map(([at, seed, got, expected, off]) => el("tr", {}, el("th", { scope: "row" }, `[${at}]`), el("td", {}, seed), el("td", {}, String(got)), el("td", {}, String(expected)), el("td", {}, short(off)))))))) : null;

const resultCard = (group, others, range, most, check, of) => {
  const { results, rows } = group[0];
  const { ulps, worst, steps, per, of: count } = results.get(check);
  const row = rows.find((found) => found.check === check);
  const limit = row && typeof row.limit === "number" ? row.limit : null;
  const quiet = !row || QUIET.has(row.verdict.name) && row.verdict.name !== "known";
  const share = row && typeof row.measured === "number" && limit ? row.measured / limit : null;
  const text = !row ? "" : row.measured === null ? row.verdict.words
    : `largest error ${short(row.measured)}${limit === null ? "" : `, ${share === null || share < 0.01 ? "far below" : share <= 1 ? `${Math.round(share * 100)} % of` : `${short(share)} times`} the limit`}`;
  return el("figure", { class: `card${row ? ` v-${row.verdict.name}` : ""}${quiet ? "" : " differs"}` },
    el("figcaption", {}, namesOf(group, of), el("span", { class: "soft" }, quiet ? null : [badge(row.verdict), " "], text)),
    steps && range ? overTime(steps, per, count, limit, others, range) : null,
    ulpsOf(ulps, most), elementsTable(worst));
};

// Errors over time and distances in ULPs of one output or gradient, the worst implementation first; which one is in the URL.
const numbersOf = (one, charts, view) => {
  const found = charts.filter(({ results }) => results.size);
  if (!found.length) return null;
  const checks = [...new Set(found.flatMap(({ results }) => [...results.keys()]))];
  const rowOf = (entry, check) => entry.rows.find((row) => row.check === check);
  const rankOf = (check) => Math.min(...found.map((entry) => rowOf(entry, check)?.verdict.rank ?? VERDICTS.length));
  const chosen = [view.of, view.check].find((check) => checks.includes(check)) ?? checks.reduce((best, check) => (rankOf(check) < rankOf(best) ? check : best));
  const with_ = found.filter(({ results }) => results.has(chosen));
  const ratio = (entry) => {
    const row = rowOf(entry, chosen);
    return row && typeof row.measured === "number" && row.limit > 0 ? row.measured / row.limit : 0;
  };
  const rank = (entry) => rowOf(entry, chosen)?.verdict.rank ?? VERDICTS.length;
  const groups = alike(with_, (entry) => [entry.results.get(chosen), rowOf(entry, chosen)?.limit, rank(entry)]).sort(([a], [b]) => rank(a) - rank(b) || ratio(b) - ratio(a));
  const values = with_.flatMap((entry) => [...(entry.results.get(chosen).steps ?? []), ...(entry.results.get(chosen).steps ? [rowOf(entry, chosen)?.limit] : [])]).filter((value) => typeof value === "number" && value > 0).map(Math.log10);
  const timed = with_.some((entry) => entry.results.get(chosen).steps);
  const low = values.length ? Math.floor(Math.min(...values)) : -1;
  const range = timed ? [low, Math.max(low + 1, values.length ? Math.ceil(Math.max(...values)) : 0)] : null;
  const most = Math.max(6, ...with_.map((entry) => entry.results.get(chosen).ulps.length));
  const card = (group) => resultCard(group, with_.filter((entry) => !group.includes(entry) && entry.results.get(chosen).steps).map((entry) => entry.results.get(chosen).steps), range, most, chosen, with_.length);
  const chip = (check) => {
    const worst = VERDICTS[rankOf(check)];
    return el("a", { class: "pickable mono", href: link({ of: check }), "aria-current": check === chosen ? "true" : null, "data-of": check },
      worst && worst.name !== "pass" ? el("i", { "aria-hidden": "true" }, worst.sign) : null, check, worst && worst.name !== "pass" ? el("span", { class: "hidden" }, ` (${worst.words})`) : null);
  };
  return section("numbers", "Against the reference", `${timed ? "error over time and " : ""}distance in ULPs from float64 on the same draws; all seeds`,
    el("nav", { class: "picker", "aria-label": "Output or gradient" }, checks.map(chip)),
    timed ? el("div", { class: "legend" }, key("own", "this implementation"), key("others", "the others"), key("limit", "its limit"), groups.some(([entry]) => ratio(entry) > 1) ? key("over", "over its limit", "✕") : null) : null,
    el("div", { class: "cards" }, groups.map(card)));
};
const key = (kind, text, sign = "") => el("span", {}, sign ? el("b", { class: `key-${kind}`, "aria-hidden": "true" }, sign) : el("i", { class: `key key-${kind}`, "aria-hidden": "true" }), text);

// Which rounding rule made the survivors: ULPs that each rule leaves, by implementation.
const scaleOf = (charts) => {
  const found = charts.filter(({ scale }) => scale);
  if (!found.length) return null;
  const rules = [...new Set(found.flatMap(({ scale }) => Object.keys(scale.rules)))];
  const groups = alike(found, ({ scale }) => [scale.rules, scale.ratio]);
  const cell = (distance) => distance === undefined ? el("td", { class: "soft" }, "–")
    : el("td", { class: distance === 0 ? "fits" : "" }, distance === 0 ? [el("i", { "aria-hidden": "true" }, "✓ "), "every bit"] : `${distance.toLocaleString("en", { notation: distance >= 1e5 ? "compact" : "standard" })} ULP`);
  const { keep } = found[0].scale;
  return section("scale", "Survivors’ scale", `kept elements x should be x / keep, here keep = ${keep}: which rounding gives their bits`,
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Rounding rules by implementation" }, el("table", { class: "plain rules" },
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Rule"), groups.map((group) => el("th", { scope: "col" }, namesOf(group, found.length))))),
      el("tbody", {},
        rules.map((rule) => el("tr", {}, el("th", { scope: "row", class: "mono" }, rule), groups.map(([{ scale }]) => cell(scale.rules[rule])))),
        el("tr", {}, el("th", { scope: "row" }, "survivor / input"), groups.map(([{ scale: { ratio } }]) => el("td", {}, ratio[0] === ratio[1] ? String(ratio[0]) : `${ratio[0]} to ${ratio[1]}`)))))),
    el("p", { class: "soft footnote" }, "d: rounded to the case’s dtype. f32: rounded to float32. All right rules mean the same and differ by a unit in the last place."));
};

// The noise that was applied, as a histogram, and the density that its formula gives.
const noiseOf = (charts) => {
  const found = charts.filter(({ noise }) => noise);
  if (!found.length) return null;
  const peak = Math.max(0.42, ...found.map(({ noise }) => Math.max(...noise.counts) / sumOf(noise.counts) / ((2 * noise.reach) / noise.counts.length)));
  const { kind, theory: [mean, sigma] } = found[0].noise;
  const what = kind === "gaussian" ? "output over input" : kind === "additive" ? "output minus input" : "output minus input, where dropped";
  return section("noise", "Noise against its theory", `${what}; in theory normal with mean ${mean} and standard deviation ${short(sigma)}`,
    el("div", { class: "legend" }, key("bars", "measured"), key("theory", "theory")),
    el("div", { class: "cards" }, alike(found, ({ noise }) => noise).map((group) => noiseCard(group, peak, found.length))));
};
const sumOf = (counts) => counts.reduce((sum, count) => sum + count, 0);
const noiseCard = (group, peak, of) => {
  const { noise: { counts, reach, mean, stddev, theory: [centre, sigma] }, rows } = group[0];
  const total = sumOf(counts), step = (2 * reach) / counts.length;
  const across = (z) => 8 + ((z + reach) / (2 * reach)) * 284;
  const density = (z) => Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
  const down = (value) => 108 - (value / peak) * 96;
  const curve = Array.from({ length: 81 }, (_, i) => { const z = -reach + (i * reach) / 40; return [across(z), down(density(z))]; });
  const bad = rows.filter((row) => row.check.startsWith("noise.") && !QUIET.has(row.verdict.name));
  const family = rows.find((row) => row.check === "noise.family");
  const text = `mean ${number(mean)}, standard deviation ${number(stddev)}; ${total.toLocaleString("en")} elements${family && typeof family.measured === "number" ? `; at most ${short(family.measured)} between the two distribution functions` : ""}`;
  return el("figure", { class: `card${bad.length ? ` differs v-${bad[0].verdict.name}` : ""}` },
    el("figcaption", {}, namesOf(group, of), el("span", { class: "soft" }, bad.length ? [badge(bad[0].verdict), " "] : null, text)),
    chart(126, `Histogram of the applied noise: ${text}; in theory mean ${centre}, standard deviation ${short(sigma)}`,
      counts.map((count, i) => count ? el("rect", { class: "bar", x: across(-reach + i * step) + 0.5, width: (284 / counts.length) - 1, y: down(count / total / step), height: 108 - down(count / total / step) }) : null),
      stroke("theory", pathOf(curve)), el("line", { class: "grid", x1: 8, x2: 292, y1: 108, y2: 108 }),
      [-3, 0, 3].map((z) => [el("line", { class: "grid", x1: across(z), x2: across(z), y1: 108, y2: 112 }), write(across(z), 123, String(Number((centre + z * sigma).toPrecision(3))), "middle")])));
};

// How h, c and the sequence belong together: the last step is h bit for bit, and c is neither.
const statesOf = (charts) => {
  const found = charts.filter(({ states }) => states);
  const handed = charts.filter(({ handover }) => handover);
  if (!found.length && !handed.length) return null;
  return section("states", "Sequence and states", found.length ? "which of the results is h, which is c, and where they belong in the sequence" : "what the decoder starts from",
    el("div", { class: "cards" }, alike(found, ({ states: { steps, h, c = null } }) => [steps, h, c && "apart"]).map((group) => stateCard(group, found.length)), alike(handed, ({ handover }) => { const nearest = nearestOf(handover.starts); return [nearest, Object.entries(handover.starts).map(([name, value]) => (name === nearest ? 0 : Number(Number(value).toPrecision(2))))]; }).map((group) => handoverCard(group, handed.length))));
};
const box = (x, y, width, text, kind = "") => [el("rect", { class: `box ${kind}`, x, y, width, height: 26, rx: 4 }), write(x + width / 2, y + 17.5, text, "middle", "strong")];
const stateCard = (group, of) => {
  const { steps, h, c } = group[0].states;
  const drawn = steps <= 4 ? Array.from({ length: steps }, (_, i) => `y${sub(i)}`) : ["y₀", "y₁", "…", `y${sub(steps - 1)}`];
  const wide = 32, gap = 5, out = 2 + drawn.length * (wide + gap) - gap - wide / 2;
  const range = (name) => {
    const all = group.map(({ states }) => states[name]).filter((value) => typeof value === "number");
    const [least, most] = [Math.min(...all), Math.max(...all)].map(short);
    return !all.length ? short(group[0].states[name]) : least === most ? least : `${least} to ${most}`;
  };
  const said = (name, distance) => (distance === 0 ? "the same bits" : `differs by ${range(name)}`);
  const state_ = (name, distance, y) => [stroke(distance === 0 ? "arrow" : "arrow apart", `M${out} 38V${y + 13}H${out + 24}`), box(out + 24, y, 28, name, distance === 0 ? "equal" : ""), write(out + 60, y + 17.5, said(name, distance), "start", distance === 0 ? "strong" : "")];
  const words = `The last of ${plural(steps, "step")} and h: ${h === 0 ? "the same bits" : `they differ by ${range("h")}`}.${c === undefined ? "" : ` The last step and c: ${c === 0 ? "the same bits" : `they differ by ${range("c")}`}.`}`;
  return el("figure", { class: "card" }, el("figcaption", {}, namesOf(group, of), el("span", { class: "soft" }, words)),
    chart(c === undefined ? 84 : 120, words,
      drawn.map((text, i) => box(2 + i * (wide + gap), 12, wide, text, text === "…" ? "more" : i === drawn.length - 1 ? "last" : "")),
      state_("h", h, 52), c === undefined ? null : state_("c", c, 90)));
};
const sub = (n) => [...String(n)].map((digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]).join("");
const nearestOf = (starts) => Object.keys(starts).reduce((best, name) => (Number(starts[name]) < Number(starts[best]) ? name : best));
const handoverCard = (group, of) => {
  const { starts } = group[0].handover;
  const nearest = nearestOf(starts);
  const logs = Object.values(starts).filter((value) => typeof value === "number" && value > 0).map(Math.log10);
  const low = Math.min(...logs, 0) - 0.5, high = Math.max(...logs, low + 1);
  const width = (value) => (typeof value !== "number" ? 112 : value === 0 ? 2 : 4 + ((Math.log10(value) - low) / (high - low)) * 108);
  const right = nearest === "(h, c)";
  const words = `The decoder starts from ${nearest}: its output is ${short(starts[nearest])} away from that; ${Object.entries(starts).filter(([name]) => name !== nearest).map(([name, value]) => `from ${name} ${short(value)}`).join(", ")}.`;
  return el("figure", { class: `card${right ? "" : " differs v-fail"}` }, el("figcaption", {}, namesOf(group, of), el("span", { class: "soft" }, right ? "✓ " : "✕ ", `the decoder starts from ${nearest}`)),
    chart(172, words,
      box(6, 8, 84, "encoder"), stroke("arrow head", "M90 21H200m-6 -4l6 4l-6 4"), write(145, 15, nearest, "middle", "strong"), box(202, 8, 84, "decoder"),
      write(6, 54, "distance of its output, started from …"),
      Object.entries(starts).map(([name, value], i) => [write(84, 78 + i * 20, name, "end", name === nearest ? "strong" : ""), el("rect", { class: name === nearest ? "bar" : "bar dim", x: 92, y: 68 + i * 20, width: width(value), height: 13, rx: 2 }), write(98 + width(value), 78 + i * 20, `${short(value)}${name === nearest ? " nearest" : ""}`, "start", name === nearest ? "strong" : "")])));
};

// A section with a heading that can be linked to (`at` in the URL).
const section = (id, title_, note, ...parts) => el("section", { "aria-labelledby": id }, el("h2", { id, tabindex: "-1" }, title_, note ? el("small", {}, note) : null), ...parts);
