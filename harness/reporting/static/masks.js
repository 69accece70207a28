// Masks as pictures. A picture is a grid of elements: set where kept, or a grey value.
const decode = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
const elements = (picture) => {
  if (picture.values) return picture.values;
  const count = picture.w * picture.h * picture.n;
  const bytes = decode(picture.bits ?? picture.grey);
  picture.values = picture.bits !== undefined
    ? Uint8Array.from({ length: count }, (_, i) => (bytes[i >> 3] >> (7 - (i & 7))) & 1 ? 255 : 0)
    : bytes;
  return picture.values;
};

const colour = (name) => {
  const probe = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  return [1, 3, 5].map((start) => parseInt(probe.slice(start, start + 2), 16));
};

// How many panels stand side by side, and how many pixels an element gets, so that a mask is as large as its box allows.
// Panels along two axes or more (gates, batch) keep them: a row for each of the first.
const BOX = [228, 210];
const layoutOf = ({ w, h, n, grid }) => {
  const sized = (across) => {
    const width = across * (w + 1) - 1, height = Math.ceil(n / across) * (h + 1) - 1;
    return { across, width, height, size: Math.min(BOX[0] / width, BOX[1] / height) };
  };
  let best = null;
  for (let across = 1; across <= n; across += 1) {
    const one = sized(across);
    if (grid?.[0] > 1 ? across * grid[0] === n : !best || one.size > best.size) best = one;
  }
  return { ...best, size: Math.max(1, Math.min(14, Math.floor(best.size))) };
};
const GATES = { 3: ["z", "r", "n"], 4: ["i", "f", "g", "o"] };

// Draw values (0 to 255) between two colours.
const paint = (canvas, picture, values, from, to) => {
  const { w, h, n } = picture;
  const { across, width, height, size } = layoutOf(picture);
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let panel = 0; panel < n; panel += 1) for (let y = 0; y < h; y += 1) for (let x = 0; x < w; x += 1) {
    const share = values[(panel * h + y) * w + x] / 255;
    const column = (panel % across) * (w + 1) + x;
    const row = Math.floor(panel / across) * (h + 1) + y;
    const at = (row * width + column) * 4;
    for (let c = 0; c < 3; c += 1) image.data[at + c] = Math.round(from[c] + (to[c] - from[c]) * share);
    image.data[at + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  canvas.style.width = `${width * size}px`;
};

const drawn = [];
const repaint = () => drawn.forEach((again) => again());
for (const query of ["(prefers-color-scheme: dark)", "print"]) matchMedia(query).addEventListener("change", repaint);

const canvasOf = (label, picture, values, from, to) => {
  const canvas = el("canvas", { role: "img", "aria-label": label });
  const again = () => paint(canvas, picture, values(), colour(from), colour(to));
  drawn.push(again);
  again();
  return canvas;
};

const percent = (share) => `${(share * 100).toFixed(1)} %`;

// A mask's canvas with the names of its gates beside the rows of panels.
const panelsOf = (canvas, picture, gates) => {
  const { size } = layoutOf(picture);
  if (!gates || picture.grid?.[0] !== gates.length || (picture.h + 1) * size < 12) return canvas;
  const labels = el("ol", { class: "gates", "aria-label": "Gates, from above" }, gates.map((gate) => el("li", {}, gate)));
  labels.style.gridAutoRows = `${picture.h * size}px`;
  labels.style.rowGap = `${size}px`;
  return el("div", { class: "panels" }, labels, canvas);
};

// The masks of one site, each once with all that drew it, beside its difference against the first.
const siteOf = (one, name, entries) => {
  const site = one.sites.find(({ at }) => name === at || name.startsWith(`${at}/`));
  const [, , firstNumber, shape] = entries[0];
  const first = D.pictures[firstNumber];
  const named = site && site.axes.length === shape.split("×").length ? site.axes : [];
  const axes = named.includes("gates") ? ["gates", ...named.filter((axis) => axis !== "gates")] : named;
  const gates = axes[0] === "gates" ? GATES[first.grid?.[0]] : null;
  const layout = first.wrapped ? `its first ${first.w * first.h} elements in rows of ${first.w}`
    : axes.length > 1 ? `${axes.at(-2)} down, ${axes.at(-1)} across` : axes.length ? `${axes[0]} across` : "second last axis down, last axis across";
  const panels = first.of > 1 ? `; ${first.n < first.of ? `${first.n} of ${first.of}` : first.of} panels${axes.length > 2 ? ` (${first.grid ? `${axes[0]} down, ${axes.slice(1, -2).join(", ")} across` : axes.slice(0, -2).join(", ")})` : ""}` : "";
  const pooled = first.pooled ? "; each point the mean of several elements" : "";
  const groups = alike(entries.map((entry) => ({ entry })), ({ entry }) => [entry[2], entry[3]]).map((group) => group.map(({ entry }) => entry));
  return el("div", { class: "site" },
    el("h3", { class: "isolate" }, name),
    el("p", {}, `${site ? `${site.text}. ` : ""}Shape ${shape}: ${layout}${panels}${pooled}. ${groups.length === 1 ? `The same mask in ${entries.length === 1 ? "the one implementation" : `all ${entries.length} implementations`}.` : `${groups.length} different masks in ${entries.length} implementations.`}`),
    el("div", { class: "masks" }, groups.map((group) => maskOf(name, group, entries[0], first, gates, named.indexOf("gates")))));
};

// Where two masks can be laid over each other: every axis as long in both, or of length one in one of them.
const overlay = (a, b, shapeA, shapeB, gatesAt) => {
  const sizes = (shape) => {
    const all = shape.split("×").map(Number);
    return gatesAt > 0 ? [all[gatesAt], ...all.slice(0, gatesAt), ...all.slice(gatesAt + 1)] : all;
  };
  const dims = (picture, count) => [...(picture.grid ?? (count > 2 ? [picture.n] : [])), ...(count > 1 ? [picture.h] : []), picture.w];
  const fullA = sizes(shapeA), fullB = sizes(shapeB);
  if (fullA.length !== fullB.length) return null;
  const dimsA = dims(a, fullA.length), dimsB = dims(b, fullB.length);
  if (dimsA.length !== fullA.length || dimsB.length !== fullB.length) return null;
  if (shapeA !== shapeB && (a.pooled || b.pooled || a.wrapped || b.wrapped)) return null;
  if (fullA.some((size, i) => size !== fullB[i] && size !== 1 && fullB[i] !== 1)) return null;
  const both = fullA.map((size, i) => (size === fullB[i] ? Math.min(dimsA[i], dimsB[i]) : Math.max(dimsA[i], dimsB[i])));
  const valuesA = valuesOf(a), valuesB = valuesOf(b);
  const count = both.reduce((product, size) => product * size, 1);
  const at = (index, own) => {
    let position = 0, rest = index, stride = 1;
    for (let axis = both.length - 1; axis >= 0; axis -= 1) {
      position += Math.min(rest % both[axis], own[axis] - 1) * stride;
      rest = Math.floor(rest / both[axis]);
      stride *= own[axis];
    }
    return position;
  };
  const gaps = Float64Array.from({ length: count }, (_, i) => Math.abs(valuesA[at(i, dimsA)] - valuesB[at(i, dimsB)]));
  const [h, w] = [both.length > 1 ? both.at(-2) : 1, both.at(-1)];
  const grid = both.slice(0, -2);
  return { gaps, picture: { w, h, n: count / (w * h || 1), of: count / (w * h || 1), grid: grid.length > 1 ? grid : undefined } };
};
// Elements as the numbers that they stand for; a picture's greys span its own least to largest value.
const valuesOf = (picture) => {
  const { lo = 0, hi = 1 } = picture;
  return Float64Array.from(elements(picture), (grey) => lo + (grey / 255) * (hi - lo));
};

const maskOf = (name, group, [, firstBackend, firstNumber, firstShape], first, gates, gatesAt) => {
  const [, , pictureNumber, shape, kept] = group[0];
  const picture = D.pictures[pictureNumber];
  const names = group.map((entry) => entry[1]);
  const share = kept === null ? (picture.lo === undefined ? "" : `${picture.lo} to ${picture.hi}`) : `${percent(kept)} kept`;
  const own = panelsOf(canvasOf(`Mask ${name} of ${names.join(", ")}: ${share}`, picture, () => elements(picture), "--dropped", "--kept"), picture, gates);
  const caption = el("figcaption", {}, el("ul", {}, names.map((text) => el("li", { class: "isolate" }, dotted(text)))), el("span", { class: "soft" }, share));
  if (pictureNumber === firstNumber && shape === firstShape) return el("figure", { class: "mask" }, caption, own);
  const both = overlay(first, picture, firstShape, shape, gatesAt);
  const other = shape === firstShape ? "" : `shape ${shape}; ${firstBackend} has ${firstShape}. `;
  if (!both) return el("figure", { class: "mask" }, caption, own, el("p", { class: "delta" }, other || "Too large to be laid over the first."));
  const differing = both.gaps.reduce((sum, gap) => sum + (gap > 1e-9), 0) / both.gaps.length;
  const largest = both.gaps.reduce((most, gap) => Math.max(most, gap), 0);
  const parts = first.wrapped || picture.n < picture.of || first.n < first.of;
  const text = first.lo === undefined ? `${percent(differing)} of ${picture.pooled ? "points" : parts ? "these elements" : "elements"} differ from the first` : `difference from the first, up to ${short(largest)}`;
  const shades = Uint8Array.from(both.gaps, (gap) => (gap / (largest || 1)) * 255);
  return el("figure", { class: "mask" }, caption, own, el("div", { class: "delta" }, el("p", {}, other, text),
    panelsOf(canvasOf(`Difference: ${text}`, both.picture, () => shades, "--dropped", "--changed"), both.picture, gates)));
};

const masksOf = (one) => {
  if (!one.masks?.length) return null;
  drawn.length = 0;
  const sites = new Map();
  for (const entry of one.masks) sites.set(entry[0], [...(sites.get(entry[0]) ?? []), entry]);
  const swatch = (kind, text) => el("span", {}, el("i", { class: `swatch ${kind}`, "aria-hidden": "true" }), text);
  const noisy = one.masks.some(([, , number_]) => D.pictures[number_].lo !== undefined), binary = one.masks.some(([, , number_]) => D.pictures[number_].lo === undefined);
  return section("masks", "Masks", one.facts.some(([name, value]) => name === "draws" && value === "native")
      ? "drawn by each framework itself: other draws are luck, another shape or rate is not" : "one tape, replayed in every framework",
    el("div", { class: "legend" }, binary ? [swatch("kept", "kept"), swatch("dropped", "dropped")] : null, noisy ? [swatch("dropped", "least"), swatch("kept", "largest draw")] : null, swatch("changed", "differs from the first")),
    [...sites].map(([name, entries]) => siteOf(one, name, entries)));
};
