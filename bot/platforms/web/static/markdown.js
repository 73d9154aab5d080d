// A small Markdown, safe by making nodes only: no markup is ever parsed, and links lead to http(s) alone.

import { el, toast } from "./dom.js";

/** Keeps an element in step with a growing text: blocks that did not change keep their nodes. */
export class Markdown {
  constructor(root) {
    this.root = root;
    this.drawn = [];
  }

  show(text) {
    const blocks = split(text);
    let same = 0;
    while (same < blocks.length && same < this.drawn.length && this.drawn[same].key === blocks[same].key) same++;
    for (const old of this.drawn.splice(same)) old.node.remove();
    for (const block of blocks.slice(same)) {
      const node = BUILDERS[block.kind](block);
      this.root.append(node);
      this.drawn.push({ key: block.key, node });
    }
  }
}

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+#.-]*)[^`]*$/;
const ITEM = /^(\s*)([-*+•]|\d{1,9}[.)])\s+(.*)$/;
const HEADING = /^(#{1,6})\s+(.+?)\s*#*$/;
const RULE = /^ {0,3}([-*_])(\s*\1){2,}\s*$/;
const DIVIDER = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

/** The text as blocks: {kind, lines, key, …}. */
function split(text) {
  const lines = text.replace(/\r\n?/g, "\n").split("\n");
  const blocks = [];
  let at = 0;
  while (at < lines.length) {
    if (!lines[at].trim()) {
      at++;
      continue;
    }
    const block = blockAt(lines, at);
    block.key = `${block.kind}\n${lines.slice(at, block.end).join("\n")}`;
    blocks.push(block);
    at = block.end;
  }
  return blocks;
}

function blockAt(lines, at) {
  const fence = lines[at].match(FENCE);
  if (fence) return fenced(lines, at, fence);
  if (RULE.test(lines[at])) return { kind: "rule", end: at + 1 };
  const heading = lines[at].match(HEADING);
  if (heading) return { kind: "heading", level: heading[1].length, text: heading[2], end: at + 1 };
  if (ITEM.test(lines[at])) return run("list", lines, at, (line, next) => ITEM.test(line) || /^\s+\S/.test(line) || (!line.trim() && (ITEM.test(next) || /^\s{2,}\S/.test(next))));
  if (/^\s*>/.test(lines[at])) return run("quote", lines, at, (line) => /^\s*>/.test(line));
  if (lines[at].includes("|") && DIVIDER.test(lines[at + 1] ?? "") && lines[at + 1].includes("|")) return run("table", lines, at, (line) => line.includes("|"));
  return run("paragraph", lines, at, (line) => line.trim() && !FENCE.test(line) && !HEADING.test(line) && !ITEM.test(line) && !/^\s*>/.test(line) && !RULE.test(line));
}

function run(kind, lines, at, goesOn) {
  let end = at + 1;
  while (end < lines.length && goesOn(lines[end], lines[end + 1] ?? "")) end++;
  return { kind, lines: lines.slice(at, end), end };
}

function fenced(lines, at, [, mark, language]) {
  let end = at + 1;
  while (end < lines.length && !(lines[end].trim().startsWith(mark) && !lines[end].trim().replaceAll(mark[0], ""))) end++;
  return { kind: "code", language, text: lines.slice(at + 1, end).join("\n"), end: Math.min(end + 1, lines.length) };
}

const BUILDERS = {
  rule: () => el("hr"),
  heading: ({ level, text }) => el(`h${Math.min(level + 2, 6)}`, {}, ...inline(text)),
  paragraph: ({ lines }) => el("p", {}, ...inline(lines.join("\n"))),
  quote: ({ lines }) => nested("blockquote", lines.map((line) => line.replace(/^\s*> ?/, "")).join("\n")),
  code: ({ language, text }) => codeBlock(language, text),
  list: ({ lines }) => list(lines),
  table: ({ lines }) => table(lines),
};

function nested(tag, text) {
  const node = el(tag);
  new Markdown(node).show(text);
  return node;
}

function codeBlock(language, text) {
  const copy = el("button", { type: "button", class: "copy", onclick: () => copyText(text) }, "Copy");
  const head = el("figcaption", {}, el("span", {}, language || "text"), copy);
  return el("figure", { class: "code" }, head, el("pre", { tabindex: "0" }, el("code", {}, text)));
}

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied.");
  } catch {
    toast("This browser does not let the page copy. Select the text instead.");
  }
}

function list(lines) {
  const [, indent, mark] = lines[0].match(ITEM);
  const isNumbered = /\d/.test(mark);
  const node = el(isNumbered ? "ol" : "ul", isNumbered ? { start: parseInt(mark, 10) } : {});
  let item = null;
  const flush = () => item && node.append(listItem(item));
  for (const line of lines) {
    const found = line.match(ITEM);
    if (found && found[1].length <= indent.length + 1) {
      flush();
      item = [found[3]];
    } else item.push(line.replace(/^\s{1,4}/, ""));
  }
  flush();
  return node;
}

function listItem([first, ...rest]) {
  return rest.some((line) => line.trim()) ? nested("li", [first, ...rest].join("\n")) : el("li", {}, ...inline(first));
}

function table(lines) {
  const cells = (line) => line.trim().replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim());
  const row = (line, tag) => el("tr", {}, ...cells(line).map((cell) => el(tag, {}, ...inline(cell))));
  const body = lines.slice(2).map((line) => row(line, "td"));
  return el("div", { class: "wide", tabindex: "0" }, el("table", {}, el("thead", {}, row(lines[0], "th")), el("tbody", {}, ...body)));
}

const INLINE = [
  [/\\([\\`*_{}[\]()#+\-.!|~>])/, (found) => found[1]],
  [/(`+)(.+?)\1(?!`)/s, (found) => el("code", {}, found[2].trim())],
  [/\[([^\][]+)\]\(<?([^\s()<>]+(?:\([^\s()]*\))?)>?(?:\s+"[^"]*")?\)/, (found) => link(found[2], found[1]) ?? found[0]],
  [/<(https?:\/\/[^\s<>]+)>/, (found) => link(found[1]) ?? found[0]],
  [/\bhttps?:\/\/[^\s<>()]+(?:\([^\s<>()]*\)[^\s<>()]*)*[^\s<>().,;:!?'"*_\]]/, (found) => link(found[0]) ?? found[0]],
  [/\*\*(?=\S)(.+?)(?<=\S)\*\*/s, (found) => el("strong", {}, ...inline(found[1]))],
  [/(?<![\w_])__(?=\S)(.+?)(?<=\S)__(?![\w_])/s, (found) => el("strong", {}, ...inline(found[1]))],
  [/~~(?=\S)(.+?)(?<=\S)~~/s, (found) => el("del", {}, ...inline(found[1]))],
  [/(?<!\*)\*(?=[^\s*])(.+?)(?<=[^\s*])\*(?!\*)/s, (found) => el("em", {}, ...inline(found[1]))],
  [/(?<![\w_])_(?=[^\s_])(.+?)(?<=[^\s_])_(?![\w_])/s, (found) => el("em", {}, ...inline(found[1]))],
  [/\n/, () => el("br")],
];

/** Words as nodes: whichever mark comes first wins, the rest is read after it. */
function inline(text) {
  const nodes = [];
  const ahead = INLINE.map(([pattern, build]) => ({ pattern: new RegExp(pattern, `${pattern.flags}g`), build, found: undefined }));
  let at = 0;
  for (;;) {
    const first = nearest(ahead, text, at);
    if (!first) break;
    const { found, build } = first;
    if (found.index > at) nodes.push(text.slice(at, found.index));
    nodes.push(build(found));
    at = found.index + found[0].length;
  }
  if (at < text.length) nodes.push(text.slice(at));
  return nodes;
}

/** Each pattern is searched again only once its last find lies behind, so a long text is not read over and over. */
function nearest(ahead, text, at) {
  let first = null;
  for (const mark of ahead) {
    if (mark.found === undefined || (mark.found && mark.found.index < at)) {
      mark.pattern.lastIndex = at;
      mark.found = mark.pattern.exec(text);
    }
    if (mark.found && (!first || mark.found.index < first.found.index)) first = mark;
  }
  return first;
}

/** A link that cannot lie: its real host stands beside a label that says something else. */
function link(address, label = null) {
  if (!/^https?:\/\//i.test(address) || !URL.canParse(address)) return null;
  const { host } = new URL(address);
  const anchor = el("a", { href: address, target: "_blank", rel: "noopener noreferrer nofollow" }, label ?? address);
  if ((label ?? address).replace(/^https?:\/\//i, "").split(/[/?#]/)[0] === host) return anchor;
  return el("span", {}, anchor, el("span", { class: "host" }, ` (${host})`));
}
