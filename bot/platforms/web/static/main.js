// The page: connects conversation, composer, side list and event stream.

import { byId, el, icon } from "./dom.js";
import { Feed, read } from "./api.js";
import { Composer } from "./composer.js";
import { openStory } from "./drawer.js";
import { Log } from "./messages.js";
import { Side } from "./side.js";

const IDEAS = [
	["edit", "Draw", "/imagine a lighthouse at dusk, warm light on the water"],
	["edit", "Draw two, wide", "/imagine a red fox in fresh snow --aspect 16:9 --count 2"],
	["chat", "Ask", "How do I connect Slack?"],
	["menu", "Look around", "/models"],
];
const HIDDEN_SECONDS = 20;

const scroll = byId("scroll");
const side = new Side(() => channel);
let channel = "";
let composer = null;
let log = null;
let feed = null;
let isAtEnd = true;
let hiddenTimer = 0;
let bannerTimer = 0;

/** Follows the address: #c/NAME opens a conversation, #show/JOB shows a job here. */
function route() {
	const [, kind, name] = location.hash.match(/^#(c|show)\/([\w-]{1,64})$/) ?? [];
	const wanted = kind === "c" ? name : (kind && channel) || "main";
	if (wanted !== channel) openChannel(wanted);
	if (kind !== "show") return;
	history.replaceState(null, "", `#c/${wanted}`);
	composer.say(`/show ${name}`);
}

function openChannel(name) {
	channel = name;
	feed?.close();
	byId("welcome").hidden = true;
	isAtEnd = true;
	log = new Log(byId("log"), channel, { gap: () => feed.reload(), edit: (job) => composer.edit(job), change: (picture) => composer.change(picture), story: openStory });
	feed = new Feed(channel, showConnection, draw);
}

/** Draws an event, keeps the end in view, and reloads the side list if a message began or ended. */
function draw(event, data) {
	log[event](data);
	byId("welcome").hidden = byId("log").children.length;
	if (isAtEnd) toEnd();
	if (event !== "change" || data.tone) side.reloadSoon();
}

function toEnd() {
	if (byId("welcome").hidden) scroll.scrollTop = scroll.scrollHeight;
}

function noteScroll() {
	isAtEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80;
	byId("latest").hidden = isAtEnd;
}

function showConnection(isConnected) {
	clearTimeout(bannerTimer);
	if (isConnected) byId("banner").hidden = true;
	// A short interruption shows no banner.
	else bannerTimer = setTimeout(() => (byId("banner").hidden = false), 1500);
}

/** Browsers allow six HTTP/1.1 connections per server: a hidden page closes its own. */
function noteVisibility() {
	clearTimeout(hiddenTimer);
	if (document.hidden) hiddenTimer = setTimeout(() => feed?.close(), HIDDEN_SECONDS * 1000);
	else if (feed && !feed.source) feed.open();
}

function idea([name, kind, text]) {
	return el("button", { class: "idea", onclick: () => composer.fill(text) }, el("span", { class: "kind" }, icon(name), kind), text.replaceAll("-", "\u2011"));
}

async function start() {
	const menu = await read("/api/menu").catch(() => null);
	showConnection(menu);
	if (!menu) return void setTimeout(start, 2000);
	byId("offer").textContent = menu.offer;
	composer = new Composer(menu, () => channel, () => {
		isAtEnd = true;
		toEnd();
	});
	byId("ideas").replaceChildren(...IDEAS.map(idea));
	route();
	onhashchange = route;
	return composer.words.focus({ preventScroll: true });
}

document.onvisibilitychange = noteVisibility;
scroll.onscroll = noteScroll;
const sizes = new ResizeObserver(() => isAtEnd && toEnd());
for (const part of [byId("log"), scroll]) sizes.observe(part);
byId("latest").onclick = toEnd;
byId("skip").onclick = (event) => {
	event.preventDefault(); // the link's address would open another conversation
	byId("words").focus();
};
setInterval(() => log?.tick(), 1000);
start();
