// What could come next while someone types a command: its name, an option, or an option's value.

import { el } from "./dom.js";
import { suggestionsFor } from "./panel.js";

/** The list above the composer. `pick(suggestion)` is called with the chosen one. */
export class Suggestions {
  constructor(root, field, pick) {
    Object.assign(this, { root, field, pick, items: [], at: 0 });
  }

  get isOpen() {
    return !this.root.hidden;
  }

  show(items) {
    this.items = items;
    this.at = 0;
    this.root.hidden = items.length === 0;
    this.root.replaceChildren(...items.map((item, i) => this.row(item, i)));
    this.mark();
  }

  /** Handles a key of the field; true when it was meant for the list. */
  key(event) {
    if (!this.isOpen) return false;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      this.at = (this.at + step + this.items.length) % this.items.length;
      this.mark();
    } else if (event.key === "Escape") this.show([]);
    else if (event.key === "Tab" || (event.key === "Enter" && !this.items[this.at].isTyped)) this.pick(this.items[this.at]);
    else return false;
    event.preventDefault();
    return true;
  }

  row(item, i) {
    const row = el("li", { role: "option", id: `suggestion-${i}` }, el("b", {}, item.title), el("span", {}, item.detail ?? ""));
    row.addEventListener("pointerdown", (event) => {
      event.preventDefault(); // the field keeps the focus
      this.pick(item);
    });
    return row;
  }

  mark() {
    for (const [i, row] of [...this.root.children].entries()) row.setAttribute("aria-selected", String(i === this.at));
    if (!this.isOpen) return this.field.removeAttribute("aria-activedescendant");
    this.root.children[this.at].scrollIntoView({ block: "nearest" });
    return this.field.setAttribute("aria-activedescendant", `suggestion-${this.at}`);
  }
}

/** Suggestions for the text before the caret: {title, detail, start, text, isTyped}. */
export async function suggest(before, commands) {
  const name = before.match(/^\/(\S*)$/);
  if (name) return namesFor(name[1].toLowerCase(), commands);
  const command = commandOf(before, commands);
  if (!command) return [];
  const flag = before.match(/(?:^|\s)--([\w-]*)$/);
  if (flag) return flagsFor(flag[1].replaceAll("-", "_"), before, command);
  const value = before.match(/\s--([\w-]+)[ =]("?[^"\s]*)$/);
  const option = value && command.options.find((one) => one.name === value[1].replaceAll("-", "_"));
  return option ? valuesFor(value[2].replace(/^"/, ""), before.length - value[2].length, command, option) : [];
}

/** The command a text begins with. */
export function commandOf(text, commands) {
  const name = text.match(/^\s*\/(\S+)/)?.[1].toLowerCase();
  return commands.find((command) => command.name === name) ?? null;
}

function namesFor(typed, commands) {
  return commands
    .filter((command) => command.name.startsWith(typed))
    .map((command) => ({ title: `/${command.name}`, detail: command.description, start: 0, text: `/${command.name} `, isTyped: command.name === typed && !command.options.length }));
}

function flagsFor(typed, before, command) {
  return command.options
    .filter((option) => option.kind !== "file" && !option.words && option.name.startsWith(typed))
    .map((option) => ({ title: `--${option.name}`, detail: option.question, start: before.lastIndexOf("--"), text: `--${option.name} ` }));
}

async function valuesFor(typed, start, command, option) {
  const found = option.choices.length
    ? option.choices.filter((choice) => choice.toLowerCase().startsWith(typed.toLowerCase())).map((choice) => ({ label: choice, value: choice }))
    : option.autocomplete
      ? await suggestionsFor(command, option, typed)
      : [];
  return found.map(({ label, value }) => ({ title: value, detail: label === value ? "" : label, start, text: `${/\s/.test(value) ? `"${value}"` : value} `, isTyped: value === typed }));
}
