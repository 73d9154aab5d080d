// Where people type: words or a command, its options, and files.

import { byId, el, icon, toast } from "./dom.js";
import { send } from "./api.js";
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
    this.changed();
  }

  listen() {
    const form = byId("composer");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    this.words.addEventListener("input", () => this.changed());
    this.words.addEventListener("blur", () => this.suggestions.show([]));
    form.addEventListener("keydown", (event) => this.key(event));
    byId("options").addEventListener("click", () => this.toggleOptions());
    byId("attach").addEventListener("click", () => byId("picker").click());
    byId("picker").addEventListener("change", ({ target }) => {
      this.attach(target.files[0]);
      target.value = "";
    });
    document.addEventListener("paste", (event) => this.attach(event.clipboardData?.files[0], event));
    for (const name of ["dragover", "dragleave", "drop"]) document.addEventListener(name, (event) => this.drag(event));
  }

  /** The command that a send would call. */
  get command() {
    const plain = this.menu.commands.find((command) => command.name === this.menu.plain) ?? null;
    return this.words.value.trimStart().startsWith("/") ? commandOf(this.words.value, this.menu.commands) : plain;
  }

  /** Puts words into the field, ready to be sent or changed. */
  fill(text) {
    this.words.value = text;
    this.words.focus();
    this.changed();
  }

  async changed() {
    const typed = this.words.value;
    const command = this.command;
    const hasOptions = command !== null && fieldsOf(command).length > 0 && typed.trimStart().startsWith("/");
    byId("options").hidden = !hasOptions;
    if (!hasOptions) this.panel.close();
    else if (this.panel.isOpen) this.panel.open(command);
    this.showState(command, typed);
    const items = await suggest(typed.slice(0, this.words.selectionStart), this.menu.commands);
    if (typed === this.words.value) this.suggestions.show(document.activeElement === this.words ? items : []);
  }

  showState(command, typed) {
    byId("options").setAttribute("aria-expanded", String(this.panel.isOpen));
    byId("send").disabled = this.isSending || !(typed.trim() || this.file);
    const needed = typed.trimStart().startsWith("/") ? fileOption(command) : null;
    const asksForFile = needed?.required && !this.file;
    byId("hint").textContent = asksForFile ? "Drop, paste or attach a picture" : "";
    byId("attach").classList.toggle("asked", Boolean(asksForFile));
  }

  key(event) {
    if (event.isComposing || (event.target === this.words && this.suggestions.key(event))) return;
    const isField = event.target === this.words || event.target.closest?.("#panel");
    if (event.key === "Enter" && !event.shiftKey && isField && event.target.tagName !== "SELECT") {
      event.preventDefault();
      this.submit();
    } else if (event.key === "Escape" && this.panel.isOpen) this.toggleOptions();
  }

  take({ start, text }) {
    const rest = this.words.value.slice(this.words.selectionStart);
    this.words.setRangeText(text, start, this.words.value.length - rest.length, "end");
    this.words.focus();
    this.changed();
  }

  toggleOptions() {
    if (this.panel.isOpen) this.panel.close();
    else if (this.command) this.panel.open(this.command);
    this.showState(this.command, this.words.value);
    (this.panel.isOpen ? byId("panel").querySelector("input, select") : this.words)?.focus();
  }

  attach(file, event) {
    if (!file) return;
    event?.preventDefault();
    if (file.size > UPLOAD_BYTES) return toast("That file is larger than 25 MB.");
    this.file = file;
    return this.drawFile();
  }

  drawFile() {
    const tray = byId("files");
    for (const image of tray.querySelectorAll("img")) URL.revokeObjectURL(image.src);
    tray.hidden = !this.file;
    tray.replaceChildren(...(this.file ? [this.chip(this.file)] : []));
    this.changed();
  }

  chip(file) {
    const remove = () => {
      this.file = null;
      this.drawFile();
      this.words.focus();
    };
    return el(
      "div",
      { class: "chip" },
      el("img", { src: URL.createObjectURL(file), alt: "" }),
      el("span", {}, file.name),
      el("button", { type: "button", class: "tool", "aria-label": `Remove ${file.name}`, onclick: remove }, icon("close")),
    );
  }

  drag(event) {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    byId("composer").classList.toggle("over", event.type === "dragover");
    if (event.type === "drop") this.attach(event.dataTransfer.files[0]);
  }

  async submit() {
    const text = this.words.value.trim() || (this.file ? "/caption" : "");
    if (!text || this.isSending) return;
    const command = this.words.value.trim() ? this.command : commandOf(text, this.menu.commands);
    const option = this.file ? fileOption(command) : null;
    if (this.file && !option) return void toast(`${command ? `/${command.name}` : "This"} takes no picture.`);
    this.setSending(true);
    try {
      await send("/api/say", { channel: this.channel(), text, options: this.panel.values() }, option ? { [option.name]: this.file } : {});
      this.sent();
    } catch (error) {
      toast(error.message);
    }
    this.setSending(false);
  }

  sent() {
    this.words.value = "";
    this.file = null;
    this.panel.clear();
    this.drawFile();
    this.onSent();
  }

  setSending(isSending) {
    this.isSending = isSending;
    byId("composer").classList.toggle("sending", isSending);
    this.showState(this.command, this.words.value);
  }
}

const fileOption = (command) => command?.options.find((option) => option.kind === "file") ?? null;
