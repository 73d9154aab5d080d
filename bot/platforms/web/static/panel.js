// A command's options as a form, drawn from its declaration.

import { el } from "./dom.js";
import { read } from "./api.js";

/** Fields for every option but the words (those are typed) and files (those are attached). */
export class Panel {
  constructor(root) {
    this.root = root;
    this.command = null;
    this.fields = new Map();
  }

  get isOpen() {
    return !this.root.hidden;
  }

  /** Shows the form of a command; the same command keeps what was filled in. */
  open(command) {
    if (this.command !== command) this.draw(command);
    this.root.hidden = false;
  }

  close() {
    this.root.hidden = true;
  }

  /** Forgets what was filled in. */
  clear() {
    this.close();
    this.command = null;
  }

  /** What was filled in, by option name; nothing while the form is closed. */
  values() {
    const values = {};
    if (!this.isOpen) return values;
    for (const [option, field] of this.fields) {
      const text = field.value.trim();
      if (text) values[option.name] = ["integer", "number"].includes(option.kind) && !Number.isNaN(Number(text)) ? Number(text) : text;
    }
    return values;
  }

  draw(command) {
    this.command = command;
    this.fields = new Map(fieldsOf(command).map((option) => [option, field(command, option)]));
    const rows = [...this.fields].map(([option, node]) => el("div", { class: option.kind === "text" && !isList(option) ? "field wide" : "field" }, el("label", { for: node.id, title: option.question }, title(option)), node));
    this.root.setAttribute("aria-label", `Options of /${command.name}`);
    this.root.replaceChildren(...rows);
  }
}

/** The options that the form asks for. */
export const fieldsOf = (command) => command.options.filter((option) => !option.words && option.kind !== "file");

const isList = (option) => option.choices.length > 0 || option.autocomplete || option.kind === "flag";

const title = (option) => option.name.replaceAll("_", " ") + (option.required ? " *" : "");

function field(command, option) {
  const id = `option-${option.name}`;
  if (isList(option)) return list(command, option, id);
  const isNumber = option.kind !== "text";
  return el("input", {
    id,
    type: isNumber ? "number" : "text",
    title: option.question,
    placeholder: option.default === null || option.default === "" ? (isNumber ? "any" : option.question) : String(option.default),
    min: option.minimum === null ? null : String(option.minimum),
    max: option.maximum === null ? null : String(option.maximum),
    step: option.kind === "integer" ? "1" : isNumber ? "any" : null,
    maxlength: option.max_length === null ? null : String(option.max_length),
  });
}

function list(command, option, id) {
  const usual = option.kind === "flag" ? (option.default ? "yes" : "no") : option.default || "automatic";
  const select = el("select", { id, title: option.question }, el("option", { value: "" }, String(usual)));
  const add = (items) => select.append(...items.filter(({ value }) => value !== usual).map(({ label, value }) => el("option", { value }, label)));
  if (option.kind === "flag") add(["yes", "no"].map((value) => ({ label: value, value })));
  else if (option.choices.length) add(option.choices.map((value) => ({ label: value, value })));
  else suggestionsFor(command, option, "").then(add, () => {});
  return select;
}

/** What the bot suggests for one option, as {label, value}. */
export function suggestionsFor(command, option, typed) {
  return read("/api/autocomplete", { command: command.name, option: option.name, typed });
}
