// Creates DOM nodes. Text becomes text nodes: markup is never parsed.

/** Returns an element. Strings become attributes, other values (handlers too) properties; null is left out. */
export function el(tag, props = {}, ...children) {
	const node = document.createElement(tag);
	for (const [name, value] of Object.entries(props)) {
		if ((value ?? false) === false) continue;
		if (name in node && typeof value !== "string") node[name] = value;
		else node.setAttribute(name, value);
	}
	if (tag === "button") node.type = "button"; // else it would submit
	node.append(...children.filter((child) => (child ?? false) !== false));
	return node;
}

const SVG = "http://www.w3.org/2000/svg";
const PATHS = {
	send: "M12 19V5m-6 6 6-6 6 6",
	attach: "M4 6.5A2.5 2.5 0 0 1 6.5 4h11A2.5 2.5 0 0 1 20 6.5v11a2.5 2.5 0 0 1-2.5 2.5h-11A2.5 2.5 0 0 1 4 17.5zM4.5 17l4.7-5 3.6 3.8 2.4-2.4L20 18M15.5 9h.01",
	options: "M4 8h9m4 0h3M4 16h3m4 0h9M15 6v4M9 14v4",
	close: "M6 6l12 12M18 6 6 18",
	download: "M12 4v11m-5-4 5 5 5-5M5 20h14",
	chat: "M4 5.5h16v11H11L6.5 20v-3.5H4z",
	menu: "M4 7h16M4 12h16M4 17h16",
	play: "M8 5v14l11-7z",
	file: "M6 3h8l5 5v13H6zM14 3v5h5",
	plus: "M12 5v14M5 12h14",
	edit: "M5 19v-4L15.5 4.5l4 4L9 19zM13 7l4 4",
	copy: "M9 9h11v11H9zM5 15H4V4h11v1",
	brush: "M20 4 10.5 13.5M9 13c-2.5 0-3.5 1.6-3.5 3.4 0 1.3-.8 2.1-2 2.6 3.5 1.6 8.3.6 8.3-3.2C11.8 14.2 10.6 13 9 13z",
	erase: "M8.5 19.5 4 15l9-9.5 6.5 6.5-7.5 7.5zM9 10l6 6M12 19.5h8",
	undo: "M8 5 4 9l4 4M4 9h10a5.5 5.5 0 0 1 0 11h-4",
	remove: "M5 7h14M10 4h4M7 7l1 13h8l1-13",
	up: "M8 20V10l4.5-7c1.7 0 2.5 1.3 2 3l-1 4h6.5l-1.8 10zM4 10v10",
	down: "M8 4v10l4.5 7c1.7 0 2.5-1.3 2-3l-1-4h6.5L18.2 4zM4 14V4",
	story: "M12 11v6m0-9.5h.01M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0z",
};

/** Returns an icon, hidden from screen readers. */
export function icon(name) {
	const shape = (tag, values) => {
		const node = document.createElementNS(SVG, tag);
		for (const [key, value] of Object.entries(values)) node.setAttribute(key, value);
		return node;
	};
	const svg = shape("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" });
	svg.append(shape("path", { d: PATHS[name] }));
	return svg;
}

/** Returns a button with an icon; the label is for screen readers and the tooltip. */
export function tool(name, label, onclick) {
	return el("button", { class: "tool", "aria-label": label, title: label, onclick }, icon(name));
}

export const byId = (id) => document.getElementById(id);

let toastTimer = 0;

/** Shows a sentence for seven seconds. */
export function toast(text) {
	byId("toast").textContent = text;
	clearTimeout(toastTimer);
	toastTimer = setTimeout(() => (byId("toast").textContent = ""), 7000);
}

/** Copies text to the clipboard, and shows the result. */
export async function copy(text) {
	try {
		await navigator.clipboard.writeText(text);
		toast("Copied.");
	} catch {
		toast("This browser does not let the page copy. Select the text instead.");
	}
}
