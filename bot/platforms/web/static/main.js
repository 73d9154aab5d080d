// The page: joins the conversation, the composer and the line to the bot.

import { byId, el, icon } from "./dom.js";
import { Feed, newId, read } from "./api.js";
import { Composer } from "./composer.js";
import { Log } from "./messages.js";

const IDEAS = [
  ["draw", "Draw", "/imagine a lighthouse at dusk, warm light on the water"],
  ["draw", "Draw, wide", "/imagine a red fox in fresh snow --aspect 16:9 --count 2"],
  ["chat", "Ask", "How do I connect Slack?"],
  ["list", "Look around", "/models"],
];
const HIDDEN_SECONDS = 20;

const scroll = byId("scroll");
let log = null;
let feed = null;
let isAtEnd = true;
let hiddenTimer = 0;

const channel = () => location.hash.match(/^#c\/([\w-]{1,64})$/)?.[1] ?? "main";

function openChannel() {
  feed?.close();
  byId("log").replaceChildren();
  byId("welcome").hidden = true;
  isAtEnd = true;
  log = new Log(byId("log"), channel(), () => feed.reload());
  feed = new Feed(channel(), {
    snapshot: (list) => drawn(() => log.snapshot(list)),
    message: (message) => drawn(() => log.put(message)),
    change: (difference) => drawn(() => log.change(difference)),
    state: showConnection,
  });
}

/** Draws, and keeps the end in view for who was there. */
function drawn(draw) {
  draw();
  byId("welcome").hidden = log.size > 0;
  if (isAtEnd) toEnd();
}

function toEnd() {
  scroll.scrollTop = scroll.scrollHeight;
}

function noteScroll() {
  isAtEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80;
  byId("latest").hidden = isAtEnd;
}

let bannerTimer = 0;

function showConnection(isConnected) {
  clearTimeout(bannerTimer);
  if (isConnected) byId("banner").hidden = true;
  // A short break is nobody's concern.
  else bannerTimer = setTimeout(() => (byId("banner").hidden = false), 1500);
  byId("banner").textContent = "Easel is not answering. Reconnecting… nothing that was accepted is lost.";
}

/** A browser allows six lines to one server, so a page nobody looks at gives up its own. */
function noteVisibility() {
  clearTimeout(hiddenTimer);
  if (document.hidden) hiddenTimer = setTimeout(() => feed?.close(), HIDDEN_SECONDS * 1000);
  else if (feed && !feed.source) feed.open();
}

function drawWelcome(composer) {
  const idea = ([name, kind, text]) =>
    el("button", { type: "button", class: "idea", onclick: () => composer.fill(text) }, el("span", { class: "kind" }, icon(name), kind), text);
  byId("welcome").replaceChildren(
    el("img", { src: "/static/icon.svg", alt: "", width: 84, height: 84 }),
    el("h1", {}, "What shall we make?"),
    el("p", {}, "Draw a picture, make one larger, have one described, or just talk."),
    el("div", { class: "ideas" }, ...IDEAS.map(idea)),
  );
}

async function listChannels() {
  const list = byId("channels");
  const found = await read("/api/channels").catch(() => []);
  const entry = ({ channel: id, words }) =>
    el("a", { href: `#c/${id}`, "aria-current": id === channel() ? "page" : null, onclick: () => list.hidePopover() }, words || "(no words)");
  list.replaceChildren(...(found.length ? found.map(entry) : [el("p", {}, "Nothing yet.")]));
}

async function start() {
  const menu = await read("/api/menu").catch(() => null);
  if (!menu) {
    showConnection(false);
    return void setTimeout(start, 2000);
  }
  showConnection(true);
  const composer = new Composer(menu, channel, () => {
    isAtEnd = true;
    toEnd();
  });
  drawWelcome(composer);
  openChannel();
  composer.words.focus({ preventScroll: true });
}

window.addEventListener("hashchange", openChannel);
document.addEventListener("visibilitychange", noteVisibility);
scroll.addEventListener("scroll", noteScroll, { passive: true });
const sizes = new ResizeObserver(() => isAtEnd && toEnd());
for (const part of [byId("log"), scroll]) sizes.observe(part);
byId("latest").addEventListener("click", toEnd);
byId("fresh").addEventListener("click", () => {
  location.hash = `c/${newId().slice(0, 13)}`;
  byId("words").focus();
});
byId("channels").addEventListener("beforetoggle", (event) => event.newState === "open" && listChannels());
setInterval(() => log?.tick(), 1000);
start();
