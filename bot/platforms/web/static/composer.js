// The composer: words or a command, the command's options, and a picture.

import { byId, el, icon, toast, tool } from "./dom.js";
import { read, send } from "./api.js";
import { Panel, fieldsOf } from "./panel.js";
import { Suggestions, commandOf, suggest } from "./suggestions.js";

const UPLOAD_BYTES = 25 * 1024 * 1024;

export class Composer {
	/** `channel()` names the conversation; `onSent` is called once something was accepted. */
	constructor(menu, channel, onSent) {
		Object.assign(this, { menu, channel, onSent, file: null, isSending: false });
		this.words = byId("words");
		this.panel = new Panel(byId("panel"));
		this.suggestions = new Suggestions(byId("suggestions"), this.words, (item) => this.take(item));
		byId("send").append(icon("send"));
		byId("attach").append(icon("attach"));
		byId("options").append(icon("options"), "Options");
		this.listen();
		this.update();
	}

	listen() {
		const form = byId("composer");
		form.onsubmit = (event) => {
			event.preventDefault();
			this.submit();
		};
		form.onkeydown = (event) => this.key(event);
		this.words.oninput = () => this.update();
		this.words.onblur = () => this.suggestions.show([]);
		byId("options").onclick = () => this.toggleOptions();
		byId("attach").onclick = () => byId("picker").click();
		byId("picker").onchange = ({ target }) => {
			this.attach(target.files[0]);
			target.value = "";
		};
		document.onpaste = (event) => this.attach(event.clipboardData?.files[0], event);
		document.ondragover = document.ondragleave = document.ondrop = (event) => this.drag(event);
	}

	/** The text to send: a picture without words becomes /caption. */
	get text() {
		return this.words.value.trim() || (this.file ? "/caption" : "");
	}

	/** The command of the text; null for an unknown command. */
	get command() {
		return commandOf(this.text.startsWith("/") ? this.text : `/${this.menu.plain}`, this.menu.commands);
	}

	/** Puts words into the field. */
	fill(text) {
		this.words.value = text;
		this.words.focus();
		this.update();
	}

	/** Puts a job's command, options and picture back into the composer. */
	async edit(job) {
		const { command: name, options } = await read(`/api/jobs/${job}`);
		const command = commandOf(`/${name}`, this.menu.commands);
		const free = options[command.options.find((option) => option.words)?.name] ?? "";
		this.panel.fill(command, options);
		this.fill(command.name === this.menu.plain ? free : `/${command.name} ${free}`);
		const picture = options[fileOption(command)?.name]?.sha256;
		const file = picture && (await (await fetch(`/media/${picture}`)).blob());
		this.attach(file ? new File([file], "picture", { type: file.type }) : null);
	}

	update() {
		const { command, words } = this;
		if (this.panel.isOpen && command) this.panel.open(command);
		this.showState();
		this.suggestions.show(document.activeElement === words ? suggest(words.value.slice(0, words.selectionStart), this.menu.commands) : []);
	}

	showState(problem = "") {
		const { command } = this;
		const lacksFile = Boolean(fileOption(command)?.required && !this.file);
		byId("options").hidden = !fieldsOf(command).length;
		if (byId("options").hidden) this.panel.close();
		byId("options").ariaExpanded = String(this.panel.isOpen);
		byId("send").disabled = this.isSending || !this.text;
		byId("hint").textContent = problem || (lacksFile ? "Drop, paste or attach a picture" : "");
		byId("attach").classList.toggle("asked", lacksFile);
		byId("composer").classList.toggle("sending", this.isSending);
	}

	key(event) {
		if (event.isComposing || (event.target === this.words && this.suggestions.key(event))) return;
		if (event.key === "Enter" && !event.shiftKey && event.target.matches("#words, #panel input")) {
			event.preventDefault();
			this.submit();
		} else if (event.key === "Escape" && this.panel.isOpen) this.toggleOptions();
	}

	take({ start, text }) {
		this.words.setRangeText(text, start, this.words.selectionStart, "end");
		this.words.focus();
		this.update();
	}

	toggleOptions() {
		if (this.panel.isOpen) this.panel.close();
		else this.panel.open(this.command);
		this.showState();
		(this.panel.isOpen ? byId("panel").querySelector("input, select") : this.words).focus();
	}

	attach(file, event) {
		if (file === undefined) return;
		event?.preventDefault();
		if (file?.size > UPLOAD_BYTES) return void toast("That file is larger than 25 MB.");
		const tray = byId("files");
		for (const image of tray.querySelectorAll("img")) URL.revokeObjectURL(image.src);
		this.file = file;
		tray.replaceChildren(...(file ? [this.chip(file)] : []));
		this.update();
	}

	chip(file) {
		const remove = () => {
			this.attach(null);
			this.words.focus();
		};
		return el("div", { class: "chip" }, el("img", { src: URL.createObjectURL(file), alt: "" }), el("span", {}, file.name), tool("close", `Remove ${file.name}`, remove));
	}

	drag(event) {
		if (!event.dataTransfer?.types.includes("Files")) return;
		event.preventDefault();
		byId("composer").classList.toggle("over", event.type === "dragover");
		if (event.type === "drop") this.attach(event.dataTransfer.files[0]);
	}

	async submit() {
		const { command, file, text } = this;
		if (!text || this.isSending || !this.panel.check()) return;
		const option = fileOption(command);
		this.isSending = true;
		this.showState();
		const error = await this.say(text, this.panel.values(), file && option ? { [option.name]: file } : {});
		this.isSending = false;
		this.showState();
		if (error) return this.showError(error);
		this.panel.clear();
		this.words.value = "";
		return this.attach(option ? null : file); // kept for the next command
	}

	/** Sends a message to this conversation; returns the error, if any. */
	async say(text, options = {}, files = {}) {
		try {
			const { error } = await send("/api/say", { channel: this.channel(), text, options }, files);
			this.onSent();
			return error;
		} catch (error) {
			toast(error.message);
			return error.message;
		}
	}

	/** Marks the field that the error names. The words stay in the composer. */
	showError(error) {
		const name = error.match(/^(?:--)?(\w+) /)?.[1];
		if (!this.panel.mark(name, error) && this.command?.options.some((option) => option.name === name)) this.showState(error);
	}
}

const fileOption = (command) => command?.options.find((option) => option.kind === "file");
