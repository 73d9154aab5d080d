// The side list: other conversations, the current user, and the remaining credits.

import { byId, el, icon, toast } from "./dom.js";
import { newId, read, send } from "./api.js";

const PAUSE = 300; // milliseconds: several changes cause a single reload

export class Side {
	/** `channel()` names the conversation that is open. */
	constructor(channel) {
		this.channel = channel;
		byId("menu").append(icon("menu"));
		byId("fresh").prepend(icon("plus"));
		byId("fresh").onclick = () => {
			location.hash = `c/${newId().slice(0, 13)}`;
			this.close();
		};
		byId("person").onchange = ({ target }) => send("/api/switch", { to: target.value }).then(() => (location = "/"), (error) => toast(error.message));
	}

	/** Reloads after a pause. */
	reloadSoon() {
		clearTimeout(this.timer);
		this.timer = setTimeout(() => this.reload(), PAUSE);
	}

	reload() {
		read("/api/channels").then((found) => this.drawChannels(found), () => {});
		read("/api/me").then((me) => this.drawMe(me), () => {});
	}

	drawChannels(found) {
		const here = this.channel();
		const all = found.some(({ channel }) => channel === here) ? found : [{ channel: here, words: "New conversation" }, ...found];
		const entry = ({ channel, words }) =>
			el("a", { href: `#c/${channel}`, "aria-current": channel === here && "page", onclick: () => this.close() }, words.replace(/^\/imagine (.)|\s--.*/g, (_, first = "") => first.toUpperCase()) || "A picture");
		byId("channels").replaceChildren(...all.map(entry));
		const title = byId("channels").querySelector("[aria-current]").textContent;
		document.title = found.length ? `${title} · Easel` : "Easel";
	}

	drawMe({ id, left, people = [] }) {
		const extra = left.extra === "0" ? "" : ` · ${left.extra} extra`;
		byId("left").textContent = `${left.today} of ${left.allowance} credits left today${extra}`;
		const person = byId("person");
		if (!person.children.length) person.append(...people.map(({ id, name, rank }) => el("option", { value: id }, `${name} · ${rank}`)));
		person.value = id;
		person.hidden = !people.length;
	}

	close() {
		if (byId("side").matches(":popover-open")) byId("side").hidePopover();
		byId("words").focus({ preventScroll: true });
	}
}
