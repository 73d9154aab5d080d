// The viewer of a large picture.

import { byId, el, icon, tool } from "./dom.js";

/** Opens a picture of a message; arrow keys and clicks go to the message's next pictures. */
export function openPicture(picture, { pictures, note }) {
	const viewer = byId("viewer");
	let at = pictures.indexOf(picture);
	const image = el("img", { onclick: () => go(1) });
	const words = el("span");
	const download = el("a", { class: "tool", "aria-label": "Download" }, icon("download"));
	const go = (step) => {
		at = (at + step + pictures.length) % pictures.length;
		const { url, alt, download: href, name } = pictures[at];
		Object.assign(image, { src: url, alt });
		Object.assign(download, { href, download: name });
		words.textContent = alt;
	};
	viewer.onkeydown = ({ key }) => {
		if (key.startsWith("Arrow")) go(key === "ArrowLeft" ? -1 : 1);
	};
	viewer.replaceChildren(image, el("p", {}, words, el("span", { class: "note" }, note)), download, tool("close", "Close", () => viewer.close()));
	go(0);
	viewer.showModal();
}
