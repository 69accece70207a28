// Building the page. Text is always set as text: nothing from a case is ever read as markup.
const SVG = new Set(["svg", "g", "rect", "line", "path", "circle", "text"]);
const el = (name, attributes = {}, ...children) => {
  const node = SVG.has(name)
    ? document.createElementNS("http://www.w3.org/2000/svg", name)
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
};

// A dotted name that may break after its dots and before its capitals: keras.layers.LSTM, OptimizedLSTMCell.
const dotted = (text) => text.split(/(?<=[._:])|(?<=[a-z])(?=[A-Z])/).flatMap((part) => [part, el("wbr")]).slice(0, -1);

const plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;

// 0.03125, 4.5e-6, nan: figures come with four significant digits already.
const number = (value) => {
  if (typeof value !== "number") return value ?? "";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e");
  return String(value);
};

// The state of the page is the URL's hash, so that a view can be linked to and the browser's back button works.
const state = () => Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
const link = (changes, base = state()) => {
  const next = new URLSearchParams();
  for (const [key, value] of Object.entries({ ...base, ...changes })) if (value) next.set(key, value);
  return `#${next}`;
};
const go = (changes, replace = false) => {
  const hash = link(changes);
  if (hash === (location.hash || "#")) return;
  if (replace) {
    history.replaceState(null, "", hash);
    draw();
  } else location.hash = hash;
};
