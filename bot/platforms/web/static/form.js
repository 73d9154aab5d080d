// The form that a button opens, in a dialog.

import { el, toast } from "./dom.js";
import { send } from "./api.js";
import { fieldOf, row } from "./panel.js";

/** Shows the form; submits it together with the press that opened it. */
export function openForm({ title, options }, press) {
	const fields = options.map((option) => (option.kind === "file" ? picker(option) : filled(option)));
	const close = () => dialog.remove();
	const submit = el("button", { class: "press done" }, "Done");
	submit.type = "submit";
	const onsubmit = async (event) => {
		event.preventDefault();
		submit.disabled = true;
		const values = fields.filter(({ type }) => type !== "file").map(({ name, value }) => [name, value.trim()]);
		try {
			const { error } = await send("/api/form", { ...press, options: Object.fromEntries(values) }, Object.fromEntries(fields.flatMap(filesOf)));
			if (!error) return close();
			const wrong = fields.find(({ name }) => error.startsWith(`${name} `) || error.startsWith(`${name}:`));
			if (wrong) wrong.nextSibling.textContent = error;
			else toast(error);
		} catch (error) {
			toast(error.message);
		}
		submit.disabled = false;
	};
	const footer = el("footer", {}, el("button", { class: "press", onclick: close }, "Cancel"), submit);
	const dialog = el("dialog", { class: "form", ariaLabel: title, onclose: close }, el("form", { onsubmit }, el("h2", {}, title), el("div", { class: "panel" }, ...fields.map(row)), footer));
	document.body.append(dialog);
	dialog.showModal();
}

/** Returns a field with the known value; words get several lines. */
function filled(option) {
	const field = option.kind === "text" && !option.choices.length && (option.max_length ?? 200) > 100 ? el("textarea", { name: option.name, id: `option-${option.name}`, title: option.question, placeholder: option.question, rows: 2 }) : fieldOf(option);
	field.value = option.value ?? "";
	field.required = option.required;
	return field;
}

const picker = ({ name, question, files, required }) => el("input", { type: "file", name, id: `option-${name}`, title: question, multiple: files.length > 1, required });

/** Returns the chosen files by the names of the option: image, image2, … */
const filesOf = (field) => [...(field.files ?? [])].map((file, n) => [n ? `${field.name}${n + 1}` : field.name, file]);
