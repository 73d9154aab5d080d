// The conversation: an article per message; only changed parts are drawn again.

import { byId, copy, el, icon, toast, tool } from "./dom.js";
import { send } from "./api.js";
import { openForm } from "./form.js";
import { Markdown } from "./markdown.js";
import { openPicture } from "./viewer.js";

const STAGES = { queued: "Waiting in line", starting: "Cold start: waking the model up", running: "Working on it" };
const THUMBS = { "👍": ["up", "Good answer"], "👎": ["down", "Bad answer"] };
const SURE_SECONDS = 4;

/** All messages of a channel in the order of creation. `on` has gap(), edit(job), change(picture) and story(job). */
export class Log {
	constructor(root, channel, on) {
		Object.assign(this, { root, channel, on });
		root.replaceChildren();
	}

	snapshot(list) {
		const known = new Set(list.map(({ id }) => id));
		for (const node of [...this.root.children]) if (!known.has(node.id)) node.remove();
		for (const message of list) this.message(message);
	}

	message(message) {
		const { view } = byId(message.id) ?? {};
		if (view) view.change(message);
		else this.add(new View(message, this).node);
		this.markBusy();
	}

	change(difference) {
		if (!byId(difference.id)?.view.change(difference)) this.on.gap();
		this.markBusy();
	}

	gone({ id }) {
		byId(id)?.remove();
	}

	add(node) {
		let before = this.root.lastElementChild;
		while (before?.view.message.created > node.view.message.created) before = before.previousElementSibling;
		if (before) before.after(node);
		else this.root.prepend(node);
	}

	/** Screen readers wait while words stream in, and then read the whole message. */
	markBusy() {
		this.root.ariaBusy = String(this.root.querySelector("[data-tone=working]") !== null);
	}

	tick() {
		for (const { view } of this.root.children) view.tick();
	}
}

/** One message. */
class View {
	constructor(message, log) {
		Object.assign(this, { message: {}, log });
		const { id, who } = message;
		this.parts = ["words", "pictures", "media", "preview", "progress", "note", "buttons"].map((name) => (this[name] = el("div", { class: name })));
		this.node = el("article", { id, class: `message ${who}`, "aria-label": who === "bot" ? "Easel" : "You" });
		this.node.view = this;
		this.markdown = new Markdown(this.words);
		this.change(message);
	}

	/** Applies a whole message or a difference; returns false after a gap. A message that fails hides no other. */
	change(difference) {
		try {
			if (!this.words.parentNode) this.node.replaceChildren(...this.parts);
			return this.apply(difference);
		} catch (error) {
			console.warn(error);
			this.node.replaceChildren("This message cannot be shown here.");
			return true;
		}
	}

	apply({ from, append, ...parts }) {
		if (append !== undefined) {
			if (from !== this.message.text.length) return false;
			parts.text = this.message.text + append;
		}
		const { pictures, media, buttons, tone, note, files } = Object.assign(this.message, parts);
		this.node.dataset.tone = tone;
		this.note.replaceChildren(note, ...files.map((file) => el("a", file, " ", file.download)));
		if ("text" in parts) this.drawWords();
		if ("preview" in parts) this.drawPreview();
		if ("progress" in parts) this.drawProgress();
		const shown = JSON.stringify([pictures, buttons, tone]);
		if (shown !== this.shown) this.drawPictures();
		this.shown = shown; // pictures would flicker if drawn again
		if ("media" in parts) this.media.replaceChildren(...media.map((file) => player(file))); // a player would stop
		return true;
	}

	drawWords() {
		const { who, text } = this.message;
		if (who === "bot") return this.markdown.show(text);
		const [, command, rest] = text.match(/^(\/\w+)?(.*)$/s);
		return this.words.replaceChildren(command ? el("b", {}, command) : "", rest);
	}

	/** Draws the pictures; each of several pictures has own buttons. */
	drawPictures() {
		const { pictures, buttons } = this.message;
		const isOwn = ({ n }) => pictures.length > 1 && n;
		const presses = buttons.filter(({ action }) => action !== "delete"); // a tool of every message
		const some = (wanted) => presses.filter(wanted).map((press) => this.button(press));
		this.pictures.dataset.count = pictures.length;
		this.pictures.replaceChildren(...pictures.map((picture) => el("div", {}, this.figure(picture), el("div", { class: "buttons" }, ...some((button) => isOwn(button) === picture.n)))));
		this.buttons.replaceChildren(...some((button) => !isOwn(button)), ...this.tools());
	}

	figure(picture) {
		const { url, alt, width, height, download: href, name, flagged } = picture;
		const image = el("img", { src: url, alt, width, height, decoding: "async" });
		const open = el("button", { class: "frame", title: "Open large", onclick: () => openPicture(picture, this.message) }, image);
		const download = el("a", { class: "download", href, download: name, "aria-label": `Download ${name}` }, icon("download"));
		const figure = el("figure", { class: flagged && "flagged" }, open, download);
		// Reserve the space: the layout must not move later.
		figure.style.setProperty("--ratio", width / height || 1);
		figure.style.setProperty("--width", `${width || 1024}px`);
		if (flagged) figure.append(el("button", { class: "reveal", onclick: () => (figure.className = "") }, "Sensitive · show"));
		return figure;
	}

	/** Returns the tools of a finished message. */
	tools() {
		const { job, text, tone, who } = this.message;
		if (tone === "working") return [];
		const remove = tool("remove", "Delete", () => this.remove(remove));
		if (who !== "bot") return [remove];
		return [
			job && tool("edit", "Edit prompt", () => this.log.on.edit(job)),
			text && tool("copy", "Copy", () => copy(text)),
			job && tool("story", "What just happened", () => this.log.on.story(job)),
			remove,
		].filter(Boolean);
	}

	/** Asks at the first press, deletes at the second. */
	async remove(button) {
		if (button.dataset.sure) return (await this.ask("/api/delete", {})) && this.node.remove();
		button.dataset.sure = "1";
		button.append("Delete?");
		return setTimeout(() => {
			delete button.dataset.sure;
			button.lastChild.remove();
		}, SURE_SECONDS * 1000);
	}

	/** Draws the unfinished picture: the one before stays until the next has come. */
	drawPreview() {
		const { preview } = this.message;
		if (!preview) return this.preview.replaceChildren();
		const image = this.preview.firstChild ?? el("img", { alt: "Unfinished picture" });
		if (!image.parentNode) this.preview.append(image);
		return Object.assign(image, preview);
	}

	drawProgress() {
		const { progress } = this.message;
		this.progressAt = Date.now();
		if (!progress) return this.progress.replaceChildren();
		const { stage, percent, place } = progress;
		const bar = this.progress.lastChild ?? el("div", { class: "bar", role: "progressbar", "aria-label": "Progress" }, el("i"));
		if (!bar.parentNode) this.progress.append(el("span"), el("span", { class: "time" }), bar);
		this.progress.firstChild.textContent = STAGES[stage] + (place ? `, place ${place}` : "");
		bar.ariaValueNow = percent;
		bar.firstChild.style.width = `${percent ?? 30}%`;
		return this.tick();
	}

	/** Counts the seconds between two events of the bot. */
	tick() {
		const { progress } = this.message;
		if (!progress) return;
		const { percent, elapsed, usual } = progress;
		const now = spell(elapsed + Math.floor((Date.now() - this.progressAt) / 1000));
		this.progress.children[1].textContent = (percent === null ? "" : `${percent} % · `) + now + (usual ? ` of usually ${spell(usual)}` : "");
	}

	button({ label, ...press }) {
		const onclick = async () => {
			if (press.action === "change") return this.log.on.change(this.message.pictures.find(({ n }) => n === Math.max(press.n, 1)));
			node.disabled = true;
			const { form } = (await this.ask("/api/press", press)) || {};
			if (form) openForm(form, { channel: this.log.channel, message: this.message.id, ...press });
			return (node.disabled = false);
		};
		const thumb = THUMBS[label];
		const node = thumb ? tool(...thumb, onclick) : el("button", { class: press.action === "cancel" ? "press stop" : "press", onclick }, label);
		return node;
	}

	/** Sends a request about this message; returns the answer, or shows the error and returns false. */
	async ask(path, body) {
		try {
			const answer = await send(path, { channel: this.log.channel, message: this.message.id, ...body });
			if (answer.error) throw new Error(answer.error);
			return answer;
		} catch (error) {
			toast(error.message);
			return false;
		}
	}
}

/** Returns a player of a sound or video, with a link to its file. */
function player({ kind, src, download: href, name, alt, width, height, flagged }) {
	const controls = { controls: true, preload: "metadata", "aria-label": alt };
	// The first frame is the poster.
	const node = kind === "video" ? el("video", { ...controls, src: `${src}#t=0.01`, playsInline: true, width, height }) : el("audio", { ...controls, src });
	const link = el("a", { class: "tool", href, download: name, "aria-label": `Download ${name}` }, icon("download"));
	if (!flagged) return el("figure", {}, node, link);
	const figure = el("figure", {}, el("button", { class: "press", onclick: () => figure.replaceChildren(node, link) }, "Sensitive · show"));
	return figure;
}

function spell(seconds) {
	return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
