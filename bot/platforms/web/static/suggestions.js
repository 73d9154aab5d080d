// Suggestions while a person types a command: the command's name or an option.

import { el } from "./dom.js";
import { fieldsOf } from "./panel.js";

/** The list above the composer. `pick(suggestion)` is called with the chosen one. */
export class Suggestions {
	constructor(root, field, pick) {
		Object.assign(this, { root, field, pick, items: [], at: 0 });
	}

	show(items) {
		this.items = items;
		this.at = 0;
		this.root.hidden = !items.length;
		this.root.replaceChildren(...items.map((item, i) => this.row(item, i)));
		this.mark();
	}

	/** Handles a key; returns whether the key was for the list. */
	key(event) {
		if (this.root.hidden) return false;
		const item = this.items[this.at];
		const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
		if (step) {
			this.at = (this.at + step + this.items.length) % this.items.length;
			this.mark();
		} else if (event.key === "Escape") this.show([]);
		else if (!event.shiftKey && (event.key === "Tab" || (event.key === "Enter" && !item.isTyped))) this.pick(item);
		else return false;
		event.preventDefault();
		return true;
	}

	row(item, i) {
		const onpointerdown = (event) => {
			event.preventDefault(); // the field keeps the focus
			this.pick(item);
		};
		return el("li", { role: "option", id: `suggestion-${i}`, onpointerdown }, el("b", {}, item.title), el("span", {}, item.detail));
	}

	mark() {
		const rows = [...this.root.children];
		rows.forEach((row, i) => (row.ariaSelected = String(i === this.at)));
		rows[this.at]?.scrollIntoView({ block: "nearest" });
		this.field.ariaExpanded = String(!this.root.hidden);
		this.field.setAttribute("aria-activedescendant", rows[this.at]?.id ?? "");
	}
}

/** Suggestions for the text before the caret: {title, detail, start, text, isTyped}. */
export function suggest(before, commands) {
	const name = before.match(/^\/([\w ]*)$/)?.[1].toLowerCase();
	const begun = commands.filter((command) => command.name.startsWith(name));
	if (begun.length) {
		return begun.map((command) => suggestion(`/${command.name}`, command.description, 0, command.name === name && !command.options.some((option) => option.required)));
	}
	const flag = before.match(/\s--([\w-]*)$/)?.[1].replaceAll("-", "_");
	const options = flag === undefined ? [] : fieldsOf(commandOf(before, commands)).filter((option) => option.name.startsWith(flag));
	return options.map((option) => suggestion(`--${option.name}`, option.choices.join(", ") || option.question, before.lastIndexOf("--"), option.name === flag && option.kind === "flag"));
}

const suggestion = (title, detail, start, isTyped = false) => ({ title, detail, start, text: `${title} `, isTyped });

/** Returns the command at the start of a text; the longest name wins. */
export function commandOf(text, commands) {
	const typed = `${text.trim().toLowerCase().replace(/\s+/g, " ")} `;
	const named = commands.filter(({ name }) => typed.startsWith(`/${name} `));
	return named.sort((a, b) => b.name.length - a.name.length)[0] ?? null;
}
