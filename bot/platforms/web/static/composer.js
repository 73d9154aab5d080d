// The composer: words or a command, the command's options, and pictures.

import { byId, el, icon, toast, tool } from "./dom.js";
import { read, send } from "./api.js";
import { paintMask, readMask } from "./painter.js";
import { Panel, fieldsOf } from "./panel.js";
import { Suggestions, commandOf, suggest } from "./suggestions.js";

const UPLOAD_BYTES = 25 * 1024 * 1024;
const MAX_FILES = 4;

export class Composer {
	/** `channel()` names the conversation; `onSent` is called once something was accepted. */
	constructor(menu, channel, onSent) {
		Object.assign(this, { menu, channel, onSent, files: [], mask: null, isSending: false });
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
			this.attach([...target.files]);
			target.value = "";
		};
		document.onpaste = (event) => this.attach([...(event.clipboardData?.files ?? [])], event);
		document.ondragover = document.ondragleave = document.ondrop = (event) => this.drag(event);
	}

	/** The text to send: without words a picture becomes /caption, another file the first command that needs no more, or a question. */
	get text() {
		const words = this.words.value.trim(), [file] = this.files;
		if (words || !file) return words;
		const needs = ({ options }) => options.filter(({ required }) => required);
		const taker = kindOf(file) === "picture" ? null : this.menu.commands.find((command) => needs(command).length && needs(command).every((option) => option.media.includes(kindOf(file))));
		return `/${taker?.name ?? (kindOf(file) === "picture" ? "caption" : this.menu.plain)}`;
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

	/** Puts a job's command, options and pictures back into the composer. */
	async edit(job) {
		const { command: name, options } = await read(`/api/jobs/${job}`);
		const command = commandOf(`/${name}`, this.menu.commands);
		const free = options[command.options.find((option) => option.words)?.name] ?? "";
		this.panel.fill(command, options);
		this.fill(command.name === this.menu.plain ? free : `/${command.name} ${free}`);
		const kept = fileOptions(command).flatMap(({ files }) => files).map((file) => options[file]?.sha256);
		this.detach();
		for (const sha256 of kept.filter(Boolean)) this.attach([await load(`/media/${sha256}`, "picture")]);
		const mask = options.mask && (await load(`/media/${options.mask.sha256}`, "mask.png"));
		if (mask) this.setMask({ file: mask, base: await readMask(mask), strokes: [] });
	}

	/** Begins an edit of a picture of a message. */
	async change({ url, name }) {
		this.detach();
		this.attach([await load(url, name)]);
		this.fill("/edit ");
	}

	update() {
		const { command, words } = this;
		if (this.panel.isOpen && command) this.panel.open(command);
		this.showState();
		this.suggestions.show(document.activeElement === words ? suggest(words.value.slice(0, words.selectionStart), this.menu.commands) : []);
	}

	showState(problem = "") {
		const { command } = this;
		const lacking = !this.files.length && fileOptions(command).find(({ required }) => required);
		const option = this.assign().over;
		const tooMany = option && `/${command.name} takes ${option.files.length === 1 ? "one" : option.files.length} ${nounOf(option)}${option.files.length === 1 ? "" : "s"}`;
		byId("options").hidden = !fieldsOf(command).length;
		if (byId("options").hidden) this.panel.close();
		byId("options").ariaExpanded = String(this.panel.isOpen);
		byId("send").disabled = this.isSending || !this.text || Boolean(tooMany);
		byId("hint").textContent = problem || tooMany || (lacking ? `Drop, paste or attach a ${nounOf(lacking)}` : "");
		byId("attach").classList.toggle("asked", Boolean(lacking));
		for (const button of byId("files").querySelectorAll(".paint")) {
			button.hidden = !this.takesMask;
			button.lastChild.data = this.mask ? "Mask painted · change" : "Paint a mask";
		}
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

	/** Adds files to those attached. */
	attach(files, event) {
		if (!files.length) return;
		event?.preventDefault();
		if (files.some(({ size }) => size > UPLOAD_BYTES)) return void toast("That file is larger than 25 MB.");
		if (this.files.length + files.length > MAX_FILES) return void toast(`Attach at most ${MAX_FILES} files.`);
		this.files.push(...files);
		byId("files").append(...files.map((file) => this.chip(file)));
		this.update();
	}

	/** Whether the command takes a mask, and a single picture to paint it on is attached. */
	get takesMask() {
		return this.files.length === 1 && Boolean(this.command?.options.some(({ name, kind }) => name === "mask" && kind === "file"));
	}

	/** Opens the painter over the attached picture. */
	async paint() {
		const [picture] = this.files;
		this.isSending = true; // until the mask is ready: Enter must not send the mask of before
		this.showState();
		const painted = await paintMask(picture, this.mask ?? {}).catch(() => toast("This picture cannot be painted on."));
		this.isSending = false;
		if (painted && this.files[0] === picture) this.mask = painted.file && painted;
		this.update();
		byId("files").querySelector(".paint").focus();
	}

	setMask(mask) {
		this.mask = mask;
		this.update();
	}

	/** Takes all files away. */
	detach() {
		for (const image of byId("files").querySelectorAll("img")) URL.revokeObjectURL(image.src);
		this.files = [];
		this.mask = null;
		byId("files").replaceChildren();
		this.update();
	}

	chip(file) {
		const image = kindOf(file) === "picture" ? el("img", { src: URL.createObjectURL(file), alt: "" }) : el("span", {}, icon(kindOf(file) === "file" ? "file" : "play"));
		const remove = () => {
			this.files = this.files.filter((other) => other !== file);
			this.mask = null;
			URL.revokeObjectURL(image.src);
			chip.remove();
			this.update();
			this.words.focus();
		};
		const paint = el("button", { class: "tool paint", hidden: true, onclick: () => this.paint() }, icon("brush"), "Paint a mask");
		const chip = el("div", { class: "chip" }, image, el("span", {}, file.name), paint, tool("close", `Remove ${file.name}`, remove));
		return chip;
	}

	drag(event) {
		if (!event.dataTransfer?.types.includes("Files")) return;
		event.preventDefault();
		byId("composer").classList.toggle("over", event.type === "dragover");
		if (event.type === "drop") this.attach([...event.dataTransfer.files]);
	}

	async submit() {
		const { command, text } = this;
		const { named, over } = this.assign();
		if (!text || this.isSending || over || !this.panel.check()) return;
		this.isSending = true;
		this.showState();
		if (this.takesMask && this.mask) named.mask = this.mask.file;
		const error = await this.say(text, this.panel.values(), named);
		this.isSending = false;
		this.showState();
		if (error) return this.showError(error);
		this.panel.clear();
		this.words.value = "";
		if (fileOptions(command).length) this.detach(); // else kept for the next command
		else this.update();
	}

	/** Gives each file to the first option that takes its kind: the files by name, and the option with too many files. */
	assign() {
		const options = fileOptions(this.command), named = {};
		for (const file of options.length ? this.files : []) {
			const fitting = options.filter(({ media }) => media.includes(kindOf(file)));
			const name = (fitting.length ? fitting : options).flatMap(({ files }) => files).find((name) => !(name in named));
			if (!name) return { named, over: fitting[0] ?? options[0] };
			named[name] = file;
		}
		return { named };
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

/** The options for files, without the mask, which is painted. */
const fileOptions = (command) => command?.options.filter(({ kind, name }) => kind === "file" && name !== "mask") ?? [];

// Browsers take TypeScript for a video.
const kindOf = ({ type, name }) => (/\.tsx?$/.test(name) ? "file" : ({ image: "picture", audio: "audio", video: "video" })[type.split("/")[0]] ?? "file");

const nounOf = ({ media }) => (media.length > 1 ? "file" : media[0] === "audio" ? "sound" : media[0]);

async function load(url, name) {
	const file = await (await fetch(url)).blob();
	return new File([file], name, { type: file.type });
}
