// Draws Markdown as DOM nodes, never as markup. Links lead to http(s) alone.

import { copy, el } from "./dom.js";

/** Draws a growing text: unchanged blocks keep the nodes. */
export class Markdown {
	constructor(root) {
		this.root = root;
		this.drawn = [];
	}

	show(text) {
		const blocks = split(text);
		let same = 0;
		while (blocks[same] && this.drawn[same]?.key === blocks[same].key) same++;
		for (const old of this.drawn.splice(same)) old.node.remove();
		for (const { key, kind, ...block } of blocks.slice(same)) {
			const node = draw(kind, block, key);
			this.root.append(node);
			this.drawn.push({ key, node });
		}
	}
}

/** Draws a block; what cannot be drawn is shown as it was written, and hides nothing else. */
function draw(kind, block, key) {
	try {
		return BLOCKS[kind](block);
	} catch (error) {
		console.warn(error);
		return el("p", {}, key.slice(kind.length + 1));
	}
}

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+#.-]*)[^`]*$/;
const ITEM = /^(\s*)([-*+•]|\d{1,9}[.)])\s+(.*)$/;
const HEADING = /^(#{1,6})\s+(.+?)\s*#*$/;
const RULE = /^ {0,3}([-*_])(\s*\1){2,}\s*$/;
const DIVIDER = /^[\s|:-]*-[\s|:-]*$/;
const QUOTE = /^\s*> ?/;

function split(text) {
	const lines = text.replace(/\r\n?/g, "\n").split("\n");
	const blocks = [];
	for (let at = 0; at < lines.length; ) {
		if (!lines[at].trim()) at++;
		else {
			const { end, ...block } = blockAt(lines, at);
			blocks.push({ ...block, key: `${block.kind}\n${lines.slice(at, end).join("\n")}` });
			at = end;
		}
	}
	return blocks;
}

function blockAt(lines, at) {
	const line = lines[at];
	const fence = line.match(FENCE);
	if (fence) return fenced(lines, at, fence);
	if (RULE.test(line)) return { kind: "rule", end: at + 1 };
	const heading = line.match(HEADING);
	if (heading) return { kind: "heading", level: heading[1].length, text: heading[2], end: at + 1 };
	const run = (kind, goesOn) => {
		let end = at + 1;
		while (end < lines.length && goesOn(lines[end], lines[end + 1] ?? "")) end++;
		return { kind, lines: lines.slice(at, end), end };
	};
	const isInList = (line) => ITEM.test(line) || /^\s+\S/.test(line);
	if (ITEM.test(line)) return run("list", (line, next) => isInList(line) || (!line.trim() && isInList(next)));
	if (QUOTE.test(line)) return run("quote", (line) => QUOTE.test(line));
	const isWords = (line) => line.trim() && ![FENCE, HEADING, ITEM, QUOTE, RULE].some((other) => other.test(line));
	const isTable = (line, next = "") => line.includes("|") && next.includes("|") && DIVIDER.test(next);
	if (isTable(line, lines[at + 1])) return run("table", (line) => line.includes("|") && isWords(line));
	return run("paragraph", (line, next) => isWords(line) && !isTable(line, next));
}

function fenced(lines, at, [, mark, language]) {
	let end = at + 1;
	while (end < lines.length && !(lines[end].trim().startsWith(mark) && !lines[end].trim().replaceAll(mark[0], ""))) end++;
	return { kind: "code", language, text: lines.slice(at + 1, end).join("\n"), end: Math.min(end + 1, lines.length) };
}

const BLOCKS = {
	rule: () => el("hr"),
	heading: ({ level, text }) => el(`h${Math.min(level + 2, 6)}`, {}, ...inline(text)),
	paragraph: ({ lines }) => el("p", {}, ...inline(lines.join("\n"))),
	quote: ({ lines }) => nested("blockquote", lines.map((line) => line.replace(QUOTE, ""))),
	code: codeBlock,
	list,
	table,
};

let depth = 0;

function nested(tag, lines) {
	const node = el(tag);
	// Deep recursion throws.
	if (depth >= 12) node.append(lines.join("\n"));
	else {
		depth++;
		try {
			new Markdown(node).show(lines.join("\n"));
		} finally {
			depth--;
		}
	}
	return node;
}

function codeBlock({ language, text }) {
	const button = el("button", { class: "quiet", onclick: () => copy(text) }, "Copy");
	return el("figure", { class: "code" }, el("figcaption", {}, language || "text", button), el("pre", { tabindex: "0" }, el("code", {}, text)));
}

function list({ lines }) {
	const [, indent, mark] = lines[0].match(ITEM);
	const items = [];
	for (const line of lines) {
		const found = line.match(ITEM);
		if (found && found[1].length <= indent.length + 1) items.push([found[3]]);
		else items.at(-1).push(line.replace(/^\s{1,4}/, ""));
	}
	const item = (lines) => (lines.some((line, i) => i && line.trim()) ? nested("li", lines) : el("li", {}, ...inline(lines[0])));
	return el(/\d/.test(mark) ? "ol" : "ul", { start: parseInt(mark, 10) || null }, ...items.map(item));
}

function table({ lines }) {
	const cells = (line) => line.trim().replace(/^\||(?<!\\)\|$/g, "").split(/(?<!\\)\|/);
	const row = (line, tag) => el("tr", {}, ...cells(line).map((cell) => el(tag, {}, ...inline(cell.trim().replaceAll("\\|", "|")))));
	const body = lines.slice(2).map((line) => row(line, "td"));
	return el("div", { class: "wide", tabindex: "0" }, el("table", {}, row(lines[0], "th"), ...body));
}

// The first match wins; named groups are keys of MARKS.
const INLINE = new RegExp(
	[
		/\\(?<plain>[\\`*_{}[\]()#+\-.!|~>])/,
		/(?<ticks>`+)(?<code>.{1,2000}?)\k<ticks>(?!`)/,
		/\[(?<label>[^\][]+)\]\(<?(?<target>[^\s()<>]+(?:\([^\s()]*\))?)>?(?:\s+"[^"]*")?\)/,
		/\b(?<bare>https?:\/\/[^\s<>()]+(?:\([^\s<>()]*\)[^\s<>()]*)*[^\s<>().,;:!?'"*_\]])/,
		/(?<two>\*\*|(?<![\w_])__)(?=\S)(?<strong>.{1,2000}?)(?<=\S)\k<two>(?!(?<=_)\w)/,
		/~~(?=\S)(?<del>.+?)(?<=\S)~~/,
		/(?<one>(?<!\*)\*|(?<![\w_])_)(?=[^\s*_])(?<em>.+?)(?<=[^\s*_])\k<one>(?!\k<one>|(?<=_)\w)/,
		/(?<br>\n)/,
	]
		.map(({ source }) => source)
		.join("|"),
	"gs",
);
const MARKS = {
	plain: (sign) => sign,
	code: inlineCode,
	target: (address, { label }) => link(address, label),
	bare: (address) => link(address),
	br: () => el("br"),
	...Object.fromEntries(["strong", "del", "em"].map((tag) => [tag, (text) => el(tag, {}, ...inline(text))])),
};

function inline(text) {
	const nodes = [];
	let at = 0;
	for (const found of text.matchAll(INLINE)) {
		const [mark, value] = Object.entries(found.groups).find(([name, value]) => value !== undefined && MARKS[name]);
		nodes.push(text.slice(at, found.index), MARKS[mark](value, found.groups) ?? found[0]);
		at = found.index + found[0].length;
	}
	return [...nodes, text.slice(at)].filter((node) => node !== "");
}

// A job's id is a link.
function inlineCode(text) {
	const code = el("code", {}, text.trim());
	return /^[0-9a-z]{20}$/.test(text) ? el("a", { href: `#show/${text}` }, code) : code;
}

/** A link, and its host unless the label says so; bdi stops bidi marks. */
function link(address, label = address) {
	if (!/^https?:\/\/[^/?#&]+([/?#]|$)/i.test(address) || !URL.canParse(address)) return null;
	const { host } = new URL(address);
	const anchor = el("a", { href: address, target: "_blank", rel: "noreferrer nofollow" }, label);
	const says = label.match(/^(?:https?:\/\/)?([^\s/?#]+)[^\s\p{C}]*$/iu)?.[1];
	return says === host ? anchor : el("bdi", {}, anchor, el("bdi", { class: "host" }, ` (${host})`));
}
