// The form of a command's options, drawn from the declaration.

import { el } from "./dom.js";
import { read } from "./api.js";

/** Fields for all options but words, which are typed, and files, which are attached. */
export class Panel {
	constructor(root) {
		Object.assign(this, { root, command: null, fields: [] });
		root.oninput = ({ target }) => this.mark(target.name, "");
		root.onchange = ({ target }) => this.suggest(target);
	}

	get isOpen() {
		return !this.root.hidden;
	}

	/** Opens the form; the same command keeps the values. */
	open(command) {
		if (this.command !== command) this.draw(command);
		this.root.hidden = false;
	}

	close() {
		this.root.hidden = true;
	}

	/** Closes the form and forgets the values. */
	clear() {
		this.close();
		this.command = null;
	}

	/** Opens the form of a command with these values. */
	fill(command, values) {
		this.clear();
		this.draw(command);
		for (const field of this.fields) {
			const value = values[field.name];
			if (value === null || value === undefined || value === false) continue;
			// Models arrive later: `list` selects the wanted model then.
			field.value = field.dataset.wanted = value === true ? "yes" : value;
			this.root.hidden = false;
		}
		this.suggest();
	}

	/** Fetches the choices of all fields but one, with prices for the values so far. */
	suggest(changed) {
		if (!this.command) return;
		const given = Object.entries(this.values()).map(([name, value]) => [`given.${name}`, value]);
		for (const field of this.fields)
			if (field.offer && field !== changed) read("/api/autocomplete", { command: this.command.name, option: field.name, ...Object.fromEntries(given.filter(([name]) => name !== `given.${field.name}`)) }).then(field.offer, () => {});
	}

	/** Returns the values by option name; an empty object while the form is closed. */
	values() {
		const filled = this.fields.map((field) => [field.name, field.type === "number" ? number(field) : field.value.trim()]);
		return this.isOpen ? Object.fromEntries(filled.filter(([, value]) => value || value === 0)) : {};
	}

	/** Returns whether all values are within bounds; marks the first wrong field. */
	check() {
		const wrong = this.isOpen && this.fields.find((field) => !field.checkValidity());
		return !wrong || !this.mark(wrong.name, wrong.validationMessage);
	}

	/** Shows an error under a field, or removes it if empty. Returns false without such a field. */
	mark(name, text) {
		const field = this.isOpen && this.fields.find((field) => field.name === name);
		if (!field) return false;
		field.nextSibling.textContent = text;
		field.ariaInvalid = String(Boolean(text));
		if (text) field.focus();
		return true;
	}

	draw(command) {
		this.command = command;
		this.fields = fieldsOf(command).map(fieldOf);
		this.root.ariaLabel = `Options of /${command.name}`;
		this.root.replaceChildren(...this.fields.map(row));
		this.suggest();
	}
}

/** Returns the field of an option. */
export const fieldOf = (option) => (option.choices.length || (option.autocomplete && !isNumber(option)) || option.kind === "flag" ? list(option) : input(option));

/** Returns a field's number, as text where JavaScript would round. */
const number = ({ value, valueAsNumber }) => (Math.abs(valueAsNumber) > Number.MAX_SAFE_INTEGER ? value : valueAsNumber);

const isNumber = ({ kind }) => kind === "integer" || kind === "number";

/** Returns the options that have a field. */
export const fieldsOf = (command) => command?.options.filter((option) => !option.words && option.kind !== "file") ?? [];

const named = ({ name, question }) => ({ name, id: `option-${name}`, title: question, "aria-describedby": `problem-${name}` });

export function row(field) {
	const { id, name, title, type } = field;
	const label = el("label", { for: id, title }, name.replaceAll("_", " "));
	return el("div", { class: /^text|file/.test(type) || name === "model" ? "wide" : "" }, label, field.hints, field, el("small", { id: `problem-${name}`, role: "alert" }));
}

function input(option) {
	const isText = !isNumber(option);
	const placeholder = String((option.default ?? "") || (isText ? option.question : "any"));
	const bounds = isText ? { maxLength: option.max_length } : { step: option.kind === "integer" ? "1" : "any", min: option.minimum?.toString(), max: option.maximum?.toString() };
	const field = el("input", { ...named(option), type: isText ? "text" : "number", placeholder, ...bounds });
	if (!option.autocomplete) return field;
	field.hints = el("datalist", { id: `choices-${option.name}` });
	field.setAttribute("list", field.hints.id);
	field.offer = (items) => field.hints.replaceChildren(...items.map((item) => el("option", item)));
	return field;
}

function list(option) {
	const isFlag = option.kind === "flag";
	const usual = isFlag ? (option.default ? "yes" : "no") : option.default || "automatic";
	const first = el("option", { value: "" }, usual);
	const select = el("select", named(option), first);
	const offer = (items) => {
		const kept = select.value || select.dataset.wanted;
		select.replaceChildren(first, ...items.filter(({ value }) => value !== usual).map(({ label, value }) => el("option", { value, selected: value === kept }, label)));
	};
	if (option.autocomplete) select.offer = offer;
	else offer((isFlag ? ["yes", "no"] : option.choices).map((value) => ({ label: value, value })));
	return select;
}
