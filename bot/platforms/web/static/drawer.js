// A job's drawer: states with times, request, run, and ledger entries.

import { byId, copy, el, toast, tool } from "./dom.js";
import { read } from "./api.js";

/** Opens the drawer of a job. */
export async function openStory(job) {
	try {
		draw(byId("drawer"), job, await read(`/api/jobs/${job}`));
	} catch (error) {
		toast(error.message);
	}
}

function draw(drawer, job, { steps, request, prediction, price, money }) {
	const began = Date.parse(steps[0]?.at);
	const link = el("button", { class: "press", onclick: () => copy(`${location.origin}/#show/${job}`) }, "Copy a link to this job");
	drawer.replaceChildren(
		el("header", {}, el("h2", { id: "story" }, "What just happened"), tool("close", "Close", () => drawer.close())),
		el("ol", {}, ...steps.map(({ state, at }) => el("li", {}, state, el("time", { dateTime: at }, since(began, at))))),
		...section("The price, in credits", facts(price)),
		...section("The ledger", money.length && el("table", {}, row("th", COLUMNS), ...money.map((entry) => row("td", COLUMNS.map((name) => entry[name]))))),
		...section("Asked of the model", facts(request)),
		...section("The run", facts(prediction)),
		el("footer", {}, el("code", {}, job), link),
	);
	drawer.showModal();
}

const COLUMNS = ["kind", "account", "held", "balance"];

const row = (tag, cells) => el("tr", {}, ...cells.map((cell) => el(tag, {}, cell)));

const section = (title, content) => (content ? [el("h3", {}, title), content] : []);

function facts(record) {
	const known = Object.entries(record ?? {}).filter(([, value]) => value !== null && value !== "");
	return known.length && el("dl", {}, ...known.flatMap(([name, value]) => [el("dt", {}, name.replaceAll("_", " ")), el("dd", {}, spell(value))]));
}

function spell(value) {
	if (typeof value !== "object") return String(value);
	return value.sha256 ? "a picture" : facts(value) || "none";
}

function since(began, at) {
	const seconds = (Date.parse(at) - began) / 1000;
	return seconds ? `+${seconds.toFixed(2)} s` : new Date(at).toLocaleTimeString();
}
