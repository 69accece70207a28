// The packed run (harness/reporting/model.py) unpacked: cases with cells, cells with rows.
const D = JSON.parse(document.getElementById("data").textContent);
const VERDICTS = D.verdicts.map(([name, words, sign, meaning], rank) => ({ name, words, sign, meaning, rank }));
const SHORT = {
  pass: "pass", fail: "fail", known: "known", unexpected_pass: "passes", unsupported: "none", nondeterministic: "varies",
  crash: "crash", timeout: "timeout", ill_conditioned: "ill cond.", error: "error",
};
const QUIET = new Set(["pass", "known", "unsupported"]);
const place = new Map(D.order.map((implementation, column) => [implementation, column]));

const unpack = ([check, verdict, seed = 0, measured = null, limit = null, unit = 0, where = 0, cause = 0, note = 0, at = 0]) => ({
  check: D.checks[check], verdict: VERDICTS[verdict], seed: D.texts[seed], measured, limit,
  unit: D.texts[unit], where: D.texts[where], cause: D.texts[cause], note: D.texts[note], place: D.texts[at],
});
const rowsOf = (cell) => (cell.rows ??= cell.packed.map(unpack));

const CASES = D.cases.map((given, index) => {
  const cells = new Map();
  let rank = VERDICTS.length, differing = 0;
  const seen = new Set();
  for (const [implementation, seconds, packed] of given.cells) {
    let worst = VERDICTS.length - 1, worstCount = 0;
    for (const row of packed) {
      if (row[1] < worst) { worst = row[1]; worstCount = 0; }
      if (row[1] === worst) worstCount += 1;
      seen.add(row[1]);
      if (!QUIET.has(VERDICTS[row[1]].name)) differing += 1;
    }
    rank = Math.min(rank, worst);
    cells.set(implementation, { seconds, packed, worst: VERDICTS[worst], worstCount });
  }
  const [path, variant = ""] = given.id.split("::");
  const short = path.replace(/^cases\//, "").replace(/\.ya?ml$/, "");
  return { ...given, index, path, short, cells, seen, differing, rank, worst: VERDICTS[rank], text: variant.replace(/^\[|\]$/g, "").replace(/-(?=[\w.]+=)/g, " ") };
});
const byId = new Map(CASES.map((one) => [one.id, one]));

// What search looks in; made on the first search.
const haystack = (one) => (one.hay ??= [
  one.id, one.about, one.layer,
  ...[...one.cells].flatMap(([implementation, cell]) => [
    D.implementations[implementation].name,
    ...new Set(cell.packed.flatMap((row) => [D.checks[row[0]], D.texts[row[7] ?? 0]])),
  ]),
].join("\n").toLowerCase());

const matching = ({ q = "", show = "", layer = "" }) => {
  const terms = q.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = VERDICTS.filter(({ name }) => show.split(",").includes(name)).map(({ rank }) => rank);
  return CASES.filter((one) =>
    (!layer || one.layer === layer) &&
    (!wanted.length || wanted.some((rank) => one.seen.has(rank))) &&
    terms.every((term) => haystack(one).includes(term)));
};

const SORTS = {
  worst: ["worst first", (a, b) => a.rank - b.rank || b.differing - a.differing || a.index - b.index],
  file: ["as in the files", (a, b) => a.index - b.index],
  name: ["by name", (a, b) => a.id.localeCompare(b.id, "en", { numeric: true })],
};
