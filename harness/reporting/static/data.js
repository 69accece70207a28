// The packed run (harness/reporting/model.py) unpacked: cases with cells, cells with rows.
const packedData = Uint8Array.from(atob(document.getElementById("data").textContent), (character) => character.charCodeAt(0));
if (typeof DecompressionStream === "undefined") {
  document.getElementById("main").append(el("p", { class: "empty" }, "This page needs a browser from 2023 or later. The same table is in results.csv beside it."));
  return;
}
const D = await new Response(new Blob([packedData]).stream().pipeThrough(new DecompressionStream("deflate-raw"))).json();
const VERDICTS = D.verdicts.map(([name, words, sign, meaning], rank) => ({ name, words, sign, meaning, rank }));
const SHORT = {
  pass: "pass", fail: "fail", known: "known", unexpected_pass: "passes", unsupported: "none", nondeterministic: "varies",
  crash: "crash", timeout: "timeout", ill_conditioned: "ill cond.", error: "error",
};
const QUIET = new Set(["pass", "known", "unsupported"]);
const place = new Map(D.order.map((implementation, column) => [implementation, column]));

// Profiles that are the same in several places stand once: entry to what was measured.
const PROFILES = D.profiles.map((pairs) => new Map(pairs.map(([entry, text]) => [D.texts[entry], D.texts[text]])));

// A row: [kind, measured, limit, where, note, place]; a kind: [check, verdict, seed, unit, cause, diagnosis, proof, fix].
const KINDS = D.kinds.map(([check, verdict, seed, unit, cause, diagnosis, proof, fix]) => ({
  check: D.checks[check], verdict: VERDICTS[verdict], seed: D.texts[seed], unit: D.texts[unit], cause: D.texts[cause],
  diagnosis: D.texts[diagnosis], proof: D.texts[proof], fix: D.texts[fix],
}));
const kindOf = ([kind]) => KINDS[kind];
const rowsOf = (cell) => (cell.rows ??= cell.packed.map(([kind, measured = null, limit = null, where = 0, note = 0, at = null]) => ({
  ...KINDS[kind], measured, limit, where: D.texts[where], note: D.texts[note], place: at === null ? cell.place : D.texts[at],
})));

const CASES = D.cases.map((given, index) => {
  const cells = new Map();
  let rank = VERDICTS.length, differing = 0;
  const seen = new Set();
  for (const [implementation, seconds, at, packed] of given.cells) {
    let worst = VERDICTS.length - 1, worstCount = 0;
    for (const row of packed) {
      const { rank: own, name } = kindOf(row).verdict;
      if (own < worst) { worst = own; worstCount = 0; }
      if (own === worst) worstCount += 1;
      seen.add(own);
      if (!QUIET.has(name)) differing += 1;
    }
    cells.set(implementation, { seconds, packed, place: D.texts[at], worst: VERDICTS[worst], worstCount });
  }
  // What cannot be expressed says nothing of the rest.
  const judged = [...seen].filter((own) => VERDICTS[own].name !== "unsupported");
  rank = Math.min(VERDICTS.length, ...(judged.length ? judged : seen));
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
    ...new Set(cell.packed.flatMap((row) => [kindOf(row).check, kindOf(row).cause, kindOf(row).diagnosis])),
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
