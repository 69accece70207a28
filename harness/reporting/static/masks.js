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
const BOX = [228, 190];
const layoutOf = ({ w, h, n }) => {
  let best = null;
  for (let across = 1; across <= n; across += 1) {
    const width = across * (w + 1) - 1, height = Math.ceil(n / across) * (h + 1) - 1;
    const size = Math.min(BOX[0] / width, BOX[1] / height);
    if (!best || size > best.size) best = { across, width, height, size };
  }
  return { ...best, size: Math.max(1, Math.min(14, Math.floor(best.size))) };
};

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
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);

const canvasOf = (label, picture, values, from, to) => {
  const canvas = el("canvas", { role: "img", "aria-label": label });
  const again = () => paint(canvas, picture, values(), colour(from), colour(to));
  drawn.push(again);
  again();
  return canvas;
};

const percent = (share) => `${(share * 100).toFixed(1)} %`;

// The masks of one site, each once with all that drew it, beside its difference against the first.
const siteOf = (one, name, entries) => {
  const site = one.sites.find(({ at }) => name === at || name.startsWith(`${at}/`));
  const [, , firstNumber, shape] = entries[0];
  const first = D.pictures[firstNumber];
  const axes = site && site.axes.length === shape.split("×").length ? site.axes : [];
  const layout = first.wrapped ? `its first ${first.w * first.h} elements in rows of ${first.w}`
    : axes.length > 1 ? `${axes.at(-2)} down, ${axes.at(-1)} across` : axes.length ? `${axes[0]} across` : "second last axis down, last axis across";
  const panels = first.of > 1 ? `; ${first.n < first.of ? `${first.n} of ${first.of}` : first.of} panels${axes.length > 2 ? ` (${axes.slice(0, -2).join(", ")})` : ""}` : "";
  const pooled = first.pooled ? "; each point the mean of several elements" : "";
  const groups = new Map();
  for (const entry of entries) {
    const key = `${entry[2]} ${entry[3]}`;
    groups.set(key, [...(groups.get(key) ?? []), entry]);
  }
  return el("div", { class: "site" },
    el("h3", { class: "isolate" }, name),
    el("p", {}, `${site ? `${site.text}. ` : ""}Shape ${shape}: ${layout}${panels}${pooled}. ${groups.size === 1 ? `The same mask in ${entries.length === 1 ? "the one implementation" : `all ${entries.length} implementations`}.` : `${groups.size} different masks in ${entries.length} implementations.`}`),
    el("div", { class: "masks" }, [...groups.values()].map((group) => maskOf(name, group, entries[0], first))));
};

const maskOf = (name, group, [, firstBackend, firstNumber, firstShape], first) => {
  const [, , pictureNumber, shape, kept] = group[0];
  const picture = D.pictures[pictureNumber];
  const names = group.map((entry) => entry[1]);
  const share = kept === null ? (picture.lo === undefined ? "" : `${picture.lo} to ${picture.hi}`) : `${percent(kept)} kept`;
  const figure = el("figure", { class: "mask" },
    el("figcaption", {}, el("ul", {}, names.map((text) => el("li", { class: "isolate" }, dotted(text)))), el("span", { class: "soft" }, share)),
    canvasOf(`Mask ${name} of ${names.join(", ")}: ${share}`, picture, () => elements(picture), "--dropped", "--kept"));
  if (pictureNumber === firstNumber && shape === firstShape) return figure;
  const delta = el("div", { class: "delta" });
  if (shape !== firstShape || picture.w !== first.w || picture.h !== first.h || picture.n !== first.n)
    delta.append(`shape ${shape}; ${firstBackend} has ${firstShape}`);
  else {
    const a = elements(first), b = elements(picture);
    const values = b.map((value, i) => Math.abs(value - a[i]));
    const differing = values.reduce((sum, value) => sum + (value > 0), 0) / values.length;
    const text = `${percent(differing)} of ${picture.pooled ? "points" : picture.wrapped || picture.n < picture.of ? "these elements" : "elements"} differ from the first`;
    delta.append(text, canvasOf(`Difference: ${text}`, picture, () => values, "--dropped", "--changed"));
  }
  figure.append(delta);
  return figure;
};

const masksOf = (one) => {
  if (!one.masks?.length) return null;
  drawn.length = 0;
  const sites = new Map();
  for (const entry of one.masks) sites.set(entry[0], [...(sites.get(entry[0]) ?? []), entry]);
  const swatch = (kind, text) => el("span", {}, el("i", { class: `swatch ${kind}`, "aria-hidden": "true" }), text);
  return el("section", { "aria-labelledby": "masks" },
    el("h2", { id: "masks" }, "Masks ", el("small", {}, one.facts.some(([key, value]) => key === "draws" && value === "native")
      ? "drawn by each framework itself: other draws are luck, another shape or rate is not" : "one tape, replayed in every framework")),
    el("div", { class: "legend" }, swatch("kept", "kept"), swatch("dropped", "dropped"), swatch("changed", "differs from the first")),
    [...sites].map(([name, entries]) => siteOf(one, name, entries)));
};
