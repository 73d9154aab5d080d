// The page of a one-time link: one picture, one mask. The token stands behind "#", hidden from servers, logs and link previews.

import { byId, el } from "./dom.js";
import { post, send } from "./api.js";
import { drawStrokes, paintMask } from "./painter.js";

const token = location.hash.slice(1);
let mask = null;

async function start() {
	const task = await post("/api/paint/open", { token }).then((response) => response.json());
	const picture = await post("/api/paint/picture", { token }).then((response) => response.blob());
	const image = el("img", { src: URL.createObjectURL(picture), alt: "The picture" });
	await image.decode();
	const shade = el("canvas", { width: image.naturalWidth, height: image.naturalHeight });
	byId("words").textContent = `“${task.words}”`;
	byId("facts").textContent = `${task.model} · ${task.price} · the picture appears on ${task.place}`;
	byId("picture").append(image, shade);
	for (const id of ["picture", "paint", "send"]) byId(id).hidden = false;
	byId("paint").onclick = async () => {
		mask = (await paintMask(picture, mask ?? {})) ?? mask;
		const isPainted = Boolean(mask?.file);
		drawStrokes(shade, { strokes: mask?.strokes ?? [], width: shade.width, height: shade.height }, getComputedStyle(shade).color);
		byId("send").disabled = !isPainted;
		byId("paint").textContent = isPainted ? "Change the mask" : "Paint";
		byId(isPainted ? "send" : "paint").focus();
	};
	byId("send").onclick = () => finish(task);
	byId("paint").click();
}

async function finish({ place }) {
	byId("send").disabled = byId("paint").disabled = true;
	tell("Sending…");
	try {
		const { error } = await send("/api/paint/send", { token }, { mask: mask.file });
		if (error) throw new Error(error);
		byId("title").textContent = "Sent";
		tell(`The picture appears on ${place}. You can close this page.`);
		for (const id of ["picture", "facts", "paint", "send"]) byId(id).hidden = true;
	} catch ({ message }) {
		tell(message);
		byId("send").disabled = byId("paint").disabled = false;
	}
}

function tell(text) {
	byId("status").textContent = text;
}

start().catch(({ message }) => {
	byId("title").textContent = "This link does not work";
	tell(message);
});
