// Two programs side by side: their operations in columns, alike until they part; their draws; the weights that were brought over.
const SIGN = { agrees: "✓", parts: "✕", alone: "" };
const LINE = { agrees: "have the same value", parts: "the programs part here", alone: "after the place, or in one program alone" };

const operationsOf = ({ first, second, operations }) => operations.length ? [
  el("h3", {}, "Where they part"),
  el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Operations of ${first} and ${second}` }, el("table", { class: "plain programs" },
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, el("span", { class: "hidden" }, "What the two results are")), el("th", { scope: "col", class: "isolate" }, first), el("th", { scope: "col", class: "isolate" }, second))),
    el("tbody", {}, operations.map(([kind, mine, theirs, source, other]) => el("tr", { class: kind },
      el("td", {}, el("i", { "aria-hidden": "true" }, SIGN[kind]), el("span", { class: "hidden" }, LINE[kind])),
      [[mine, source], [theirs, other]].map(([text, code]) => el("td", { class: "mono isolate" }, dotted(text), code ? el("code", {}, code) : null)))))))] : [];

const drawsOf = ({ first, second, draws, mode, seed }) => draws.length ? [
  el("h3", {}, "Draws", el("small", {}, mode === "train" ? `of training, seed ${seed}` : "in evaluation")),
  el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Draws of ${first} and ${second}` }, el("table", { class: "plain programs" },
    el("thead", {}, el("tr", {}, [first, second, "The two"].map((text) => el("th", { scope: "col", class: "isolate" }, text)))),
    el("tbody", {}, draws.map(([mine, theirs, said]) => el("tr", { class: mine && theirs ? "agrees" : "parts" },
      el("td", { class: "mono isolate" }, dotted(mine)), el("td", { class: "mono isolate" }, dotted(theirs)), el("td", { class: "isolate" }, said || "are one draw"))))))] : [];

const weightsOf = ({ weights, left }) => weights.length ? el("details", { class: "idle" },
  el("summary", {}, "Weights brought over", el("small", {}, plural(weights.length, "array"))),
  el("dl", {}, weights.map(([name, source]) => [el("dt", { class: "mono isolate" }, name), el("dd", { class: "soft isolate" }, source)])),
  left.length ? el("p", { class: "soft isolate" }, `Left over of the first: ${left.join(", ")}`) : null) : null;

const programsOf = (charts) => {
  const pairs = charts.filter(({ programs }) => programs);
  return pairs.length ? section("programs", "The two programs", "the first is believed; its draws are replayed in the second", pairs.map(({ label, programs }) => el("article", { class: "pair", "aria-label": label },
    el("pre", { class: "said isolate", tabindex: "0", "aria-label": `What was found of ${label}` }, programs.said.join("\n")),
    operationsOf(programs), drawsOf(programs), weightsOf(programs)))) : null;
};
