// One picture, large.

import { byId, el, icon } from "./dom.js";

/** Opens a picture of a message; arrow keys go to its neighbours. */
export function openPicture(picture, message) {
  const viewer = byId("viewer");
  const all = message.pictures;
  const show = (one) => draw(viewer, one, message.note);
  let at = all.indexOf(picture);
  viewer.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    at = (at + step + all.length) % all.length;
    show(all[at]);
  };
  viewer.onclick = (event) => event.target === viewer && viewer.close();
  show(picture);
  viewer.showModal();
}

function draw(viewer, picture, note) {
  const close = el("button", { type: "button", class: "tool", "aria-label": "Close", onclick: () => viewer.close() }, icon("close"));
  const download = el("a", { class: "tool", href: picture.download, download: picture.name, "aria-label": "Download" }, icon("download"));
  viewer.replaceChildren(
    el("img", { src: picture.url, alt: picture.alt }),
    el("div", { class: "caption" }, el("div", {}, el("p", {}, picture.alt), el("p", { class: "note" }, note)), download, close),
  );
}
