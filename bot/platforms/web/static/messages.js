// The conversation: one article per message, each part redrawn only when it changed.

import { el, icon, toast } from "./dom.js";
import { send } from "./api.js";
import { Markdown } from "./markdown.js";
import { openPicture } from "./viewer.js";

const STAGES = { queued: "Waiting in line", starting: "Waking the model up", running: "Working on it", fetching: "Bringing the result" };

/** All messages of a channel, in the order they were made. */
export class Log {
  constructor(root, channel, onGap) {
    Object.assign(this, { root, channel, onGap, views: new Map() });
  }

  get size() {
    return this.views.size;
  }

  snapshot(list) {
    const known = new Set(list.map((message) => message.id));
    for (const [id, view] of this.views) {
      if (known.has(id)) continue;
      view.node.remove();
      this.views.delete(id);
    }
    for (const message of list) this.put(message);
  }

  put(message) {
    const view = this.views.get(message.id);
    if (view) view.change(message);
    else this.add(new View(message, this.channel));
    this.markBusy();
  }

  change(difference) {
    const view = this.views.get(difference.id);
    if (!view || !view.change(difference)) this.onGap();
    this.markBusy();
  }

  add(view) {
    const later = [...this.views.values()].reverse();
    const before = later.find((other) => other.message.created <= view.message.created);
    if (before) before.node.after(view.node);
    else this.root.prepend(view.node);
    this.views.set(view.message.id, view);
    this.views = new Map([...this.views].sort(([, a], [, b]) => (a.message.created < b.message.created ? -1 : a.message.created > b.message.created ? 1 : 0)));
  }

  /** Screen readers wait while words stream in, and then read the whole. */
  markBusy() {
    const isBusy = [...this.views.values()].some((view) => view.message.tone === "working");
    this.root.setAttribute("aria-busy", String(isBusy));
  }

  tick() {
    for (const view of this.views.values()) view.tick();
  }
}

/** One message. */
class View {
  constructor(message, channel) {
    this.message = {};
    this.channel = channel;
    this.words = el("div", { class: "words" });
    this.markdown = new Markdown(this.words);
    this.pictures = el("div", { class: "pictures" });
    this.progress = el("div", { class: "progress" });
    this.note = el("p", { class: "note" });
    this.buttons = el("div", { class: "buttons" });
    const isBot = message.who === "bot";
    this.node = el("article", { class: `message ${message.who}`, "aria-label": isBot ? "Easel" : "You" });
    this.node.append(this.words, this.pictures, this.progress, this.note, this.buttons);
    this.change(message);
  }

  /** Takes a whole message or a difference; false when something between was missed. */
  change({ from, append, ...parts }) {
    if (append !== undefined) {
      if (from !== this.message.text.length) return false;
      parts.text = this.message.text + append;
    }
    this.message = { ...this.message, ...parts };
    this.node.dataset.tone = this.message.tone;
    if ("text" in parts) this.drawWords();
    if ("progress" in parts) this.drawProgress();
    if ("note" in parts) this.note.textContent = this.message.note;
    if ("buttons" in parts || "pictures" in parts) this.drawPictures();
    return true;
  }

  drawWords() {
    if (this.message.who === "bot") this.markdown.show(this.message.text);
    else {
      const [, command, rest] = this.message.text.match(/^(\/\w+)?(.*)$/s);
      this.words.replaceChildren(...(command ? [el("b", {}, command)] : []), rest);
    }
  }

  /** Pictures, each with its own buttons under it where there are several. */
  drawPictures() {
    const { pictures, buttons } = this.message;
    const isAlone = pictures.length === 1;
    const own = (n) => (isAlone ? [] : buttons.filter((button) => button.n === n));
    this.pictures.dataset.count = pictures.length;
    this.pictures.replaceChildren(...pictures.map((picture, i) => el("div", {}, this.figure(picture), this.row(own(i + 1)))));
    this.buttons.replaceChildren(...buttons.filter((button) => isAlone || !button.n || !pictures.length).map((button) => this.button(button)));
  }

  figure(picture) {
    const image = el("img", { src: picture.url, alt: picture.alt, width: picture.width || null, height: picture.height || null, decoding: "async" });
    const open = el("button", { type: "button", class: "frame", title: "Open large", onclick: () => openPicture(picture, this.message) }, image);
    const download = el("a", { class: "download", href: picture.download, download: picture.name, "aria-label": `Download ${picture.name}`, title: "Download" }, icon("download"));
    const figure = el("figure", { class: picture.flagged ? "flagged" : null }, open, download);
    if (picture.flagged) figure.append(el("button", { type: "button", class: "reveal", onclick: () => figure.classList.remove("flagged") }, "Sensitive · show"));
    return figure;
  }

  drawProgress() {
    const progress = this.message.progress;
    this.progressAt = Date.now();
    if (!progress) return this.progress.replaceChildren();
    if (!this.bar) {
      this.stage = el("span", { class: "stage" });
      this.time = el("span", { class: "time" });
      this.bar = el("progress", { max: 100, "aria-label": "Progress" });
    }
    if (!this.bar.isConnected) this.progress.replaceChildren(el("div", {}, this.stage, this.time), this.bar);
    this.stage.textContent = STAGES[progress.stage] ?? progress.stage;
    if (progress.percent === null) this.bar.removeAttribute("value");
    else this.bar.value = progress.percent;
    return this.tick();
  }

  tick() {
    const progress = this.message.progress;
    if (!progress || !this.time) return;
    const elapsed = progress.elapsed + Math.floor((Date.now() - this.progressAt) / 1000);
    const percent = progress.percent === null ? "" : `${progress.percent} % · `;
    const usual = progress.usual ? ` of usually ${spell(progress.usual)}` : "";
    this.time.textContent = `${percent}${spell(elapsed)}${usual}`;
  }

  row(buttons) {
    return buttons.length ? el("div", { class: "buttons" }, ...buttons.map((button) => this.button(button))) : null;
  }

  button(button) {
    const node = el("button", { type: "button", class: button.action === "cancel" ? "press stop" : "press" }, button.label);
    node.addEventListener("click", () => this.press(node, button));
    return node;
  }

  async press(node, { action, job, n }) {
    node.disabled = true;
    try {
      const { error } = await send("/api/press", { channel: this.channel, message: this.message.id, action, job, n });
      if (error) toast(error);
    } catch (error) {
      toast(error.message);
    }
    node.disabled = false;
  }
}

function spell(seconds) {
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
