// Nodes from names and values. Text only ever becomes text: nothing here reads markup.

/** An element. `class`, `on…` handlers and known properties are set as such, the rest as attributes; null is left out. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name in node && typeof value !== "string") node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const SVG = "http://www.w3.org/2000/svg";
const PATHS = {
  send: "M12 19V5m-6 6 6-6 6 6",
  attach: "M4 6.500A2.500 2.500 0 0 1 6.500 4h11A2.500 2.500 0 0 1 20 6.500v11a2.500 2.500 0 0 1-2.500 2.500h-11A2.500 2.500 0 0 1 4 17.500zM4.500 17l4.700-5 3.600 3.800 2.400-2.400L20 18M15.500 9h.01",
  options: "M4 8h9m4 0h3M4 16h3m4 0h9M15 6v4M9 14v4",
  close: "M6 6l12 12M18 6 6 18",
  download: "M12 4v11m-5-4 5 5 5-5M5 20h14",
  draw: "M4 20c4 0 3-4 6-5m0 0L19 5a1.800 1.800 0 0 1 2.500 2.500L12 17c-1-.3-1.800-1-2-2z",
  chat: "M4 5.500h16v11H11L6.500 20v-3.500H4z",
  list: "M5 7h.01M5 12h.01M5 17h.01M9 7h11M9 12h11M9 17h11",
};

/** One of our line icons, for the eye only. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" })) svg.setAttribute(key, value);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

export const byId = (id) => document.getElementById(id);

let toastTimer = 0;

/** A sentence in passing. */
export function toast(text) {
  byId("toast").textContent = text;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (byId("toast").textContent = ""), 7000);
}
