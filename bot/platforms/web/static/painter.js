// The mask painter: a brush over a picture marks the part that a model repaints.

import { el, icon, tool } from "./dom.js";

const SCREEN_PIXELS = 1600; // the longer side while painting; the mask has the picture's own size
const GRID = 100; // cells each way that count the painted share
const KEYS = { b: "brush", e: "erase" };

/** Opens the painter over a picture, where a mask was left: {base, strokes}. Returns {file, share, base, strokes}: a PNG of the picture's size, white where painted, or null without paint; returns undefined after Cancel. */
export async function paintMask(picture, { base = null, strokes = [] } = {}) {
	const image = el("img", { src: URL.createObjectURL(picture), alt: "" });
	await image.decode();
	const painter = new Painter(image, base, [...strokes]);
	const isDone = await painter.ask();
	URL.revokeObjectURL(image.src);
	return isDone ? painter.result() : undefined;
}

/** Returns the base of a mask that was sent before: a canvas, opaque where the mask is white. */
export async function readMask(file) {
	const image = await createImageBitmap(file);
	const canvas = el("canvas", { width: image.width, height: image.height });
	const context = canvas.getContext("2d");
	context.drawImage(image, 0, 0);
	const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
	for (let i = 3; i < pixels.data.length; i += 4) pixels.data[i] = pixels.data[i - 1];
	context.putImageData(pixels, 0, 0);
	return canvas;
}

/** One opened dialog. Strokes are kept in pixels of the picture: {isErased, size, points}. */
class Painter {
	constructor(image, base, strokes) {
		const { naturalWidth: width, naturalHeight: height } = image;
		Object.assign(this, { image, base, strokes, width, height, tool: "brush", isDown: false });
		this.size = Math.round(Math.max(width, height) / 12);
		this.at = { x: width / 2, y: height / 2 };
		const scale = Math.min(1, SCREEN_PIXELS / Math.max(width, height));
		this.canvas = el("canvas", { width: Math.round(width * scale), height: Math.round(height * scale), tabIndex: 0, role: "application" });
		this.canvas.ariaLabel = "Picture. Arrow keys move the brush, space paints, B brush, E eraser, plus and minus size, Ctrl+Z undo.";
		this.ring = el("span", { class: "ring" });
		this.share = el("span", { class: "share", role: "status" });
		this.tools = Object.fromEntries([["brush", "Brush"], ["erase", "Erase"]].map(([name, label]) => [name, el("button", { class: "tool", onclick: () => this.choose(name) }, icon(name), label)]));
		this.undo = tool("undo", "Undo", () => this.takeBack());
		this.slider = el("input", { type: "range", min: "1", max: String(Math.round(Math.max(width, height) / 3)), "aria-label": "Size of the brush", oninput: () => this.resize(this.slider.valueAsNumber) });
		this.stage = el("div", { class: "stage" }, image, this.canvas, this.ring);
		const close = (value) => () => this.dialog.close(value);
		this.dialog = el(
			"dialog",
			{ class: "painter", "aria-label": "Paint what may change" },
			el("header", {}, el("h2", {}, "Paint what may change"), this.share),
			el("div", { class: "room" }, this.stage),
			el("footer", {}, this.tools.brush, this.tools.erase, this.slider, this.undo, tool("remove", "Start again", () => this.clear()), el("span", { class: "ends" }, el("button", { class: "press", onclick: close("") }, "Cancel"), el("button", { class: "press done", onclick: close("done") }, "Done"))),
		);
		this.listen();
	}

	/** Shows the dialog; returns whether the person pressed Done. */
	async ask() {
		document.body.append(this.dialog);
		this.dialog.showModal();
		new ResizeObserver(() => this.fit()).observe(this.dialog);
		this.fit();
		this.resize(this.size);
		this.choose("brush");
		this.draw();
		if (this.base || this.strokes.length) this.tell();
		this.canvas.focus();
		await new Promise((resolve) => (this.dialog.onclose = resolve));
		this.dialog.remove();
		return this.dialog.returnValue === "done";
	}

	listen() {
		const { canvas } = this;
		canvas.onpointerdown = (event) => {
			if (!event.isPrimary || event.button) return;
			canvas.setPointerCapture(event.pointerId);
			this.move(event);
			this.begin();
		};
		canvas.onpointermove = (event) => {
			if (!event.isPrimary) return;
			const steps = event.getCoalescedEvents?.() ?? [];
			for (const step of steps.length ? steps : [event]) this.move(step);
		};
		canvas.onpointerup = canvas.onpointercancel = () => this.end();
		canvas.onkeydown = (event) => this.key(event);
		canvas.onkeyup = ({ key }) => key === " " && this.end();
		canvas.onblur = () => this.end();
		this.dialog.addEventListener("keydown", (event) => {
			if ((event.ctrlKey || event.metaKey) && event.key === "z") {
				event.preventDefault();
				this.takeBack();
			}
		});
	}

	key(event) {
		const { key, shiftKey } = event;
		const step = this.size * (shiftKey ? 0.1 : 0.5);
		const [x, y] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key] ?? [0, 0];
		if (x || y) this.moveTo(this.at.x + x * step, this.at.y + y * step);
		else if (key === " ") event.repeat || this.begin();
		else if (KEYS[key]) this.choose(KEYS[key]);
		else if ("+=".includes(key)) this.resize(this.size * 1.2);
		else if (key === "-") this.resize(this.size / 1.2);
		else return;
		event.preventDefault();
	}

	move({ clientX, clientY }) {
		const { left, top, width } = this.canvas.getBoundingClientRect();
		const pixels = this.width / width;
		this.moveTo((clientX - left) * pixels, (clientY - top) * pixels);
	}

	/** Moves the brush within the picture, and paints if the brush is down. */
	moveTo(x, y) {
		const within = (value, most) => Math.min(Math.max(value, 0), most);
		this.at = { x: within(x, this.width), y: within(y, this.height) };
		if (this.isDown) {
			this.strokes.at(-1).points.push(this.at);
			this.draw(); // a whole redraw keeps overlapping strokes even
		}
		this.drawRing();
	}

	begin() {
		this.isDown = true;
		this.strokes.push({ isErased: this.tool === "erase", size: this.size, points: [this.at] });
		this.draw();
	}

	end() {
		if (!this.isDown) return;
		this.isDown = false;
		this.tell();
	}

	choose(name) {
		this.tool = name;
		for (const [other, button] of Object.entries(this.tools)) button.ariaPressed = String(other === name);
	}

	resize(size) {
		this.size = Math.min(Math.max(size, 1), Number(this.slider.max));
		this.slider.value = this.size;
		this.drawRing();
	}

	takeBack() {
		this.isDown = false;
		this.strokes.pop();
		this.draw();
		this.tell();
	}

	clear() {
		this.strokes = [];
		this.base = null;
		this.draw();
		this.tell();
	}

	/** Fits the picture into the room between the header and the tools. */
	fit() {
		const { clientWidth, clientHeight } = this.stage.parentNode;
		const shown = Math.min(clientWidth / this.width, clientHeight / this.height);
		this.stage.style.width = `${this.width * shown}px`;
		this.stage.style.height = `${this.height * shown}px`;
		this.drawRing();
	}

	drawRing() {
		const shown = this.canvas.clientWidth / this.width;
		Object.assign(this.ring.style, { width: `${this.size * shown}px`, left: `${this.at.x * shown}px`, top: `${this.at.y * shown}px` });
	}

	draw() {
		drawStrokes(this.canvas, this, getComputedStyle(this.canvas).color);
		this.undo.disabled = !this.strokes.length;
	}

	tell() {
		const percent = this.measure();
		this.share.textContent = `${percent && percent < 1 ? "Less than 1" : Math.round(percent)} % painted`;
	}

	/** Returns the painted share in percent. */
	measure() {
		const grid = drawStrokes(el("canvas", { width: GRID, height: GRID }), this, "#fff");
		const { data } = grid.getImageData(0, 0, GRID, GRID);
		return data.reduce((sum, value, i) => sum + (i % 4 === 3 ? value / 255 : 0), 0) / (GRID * GRID / 100);
	}

	async result() {
		const share = this.measure();
		if (!share) return { file: null, share, base: null, strokes: [] };
		const whole = el("canvas", { width: this.width, height: this.height });
		const context = drawStrokes(whole, this, "#fff");
		context.globalCompositeOperation = "destination-over";
		context.fillStyle = "#000";
		context.fillRect(0, 0, this.width, this.height);
		// `toBlob` waits for an idle page: seconds on a busy machine.
		const png = Uint8Array.from(atob(whole.toDataURL().split(",")[1]), (sign) => sign.charCodeAt(0));
		return { file: new File([png], "mask.png", { type: "image/png" }), share, base: this.base, strokes: this.strokes };
	}
}

/** Draws the strokes over a whole canvas, whatever its size; returns the context. */
export function drawStrokes(canvas, { base, strokes, width, height }, colour) {
	const context = canvas.getContext("2d");
	context.setTransform(1, 0, 0, 1, 0, 0);
	context.clearRect(0, 0, canvas.width, canvas.height);
	context.scale(canvas.width / width, canvas.height / height);
	if (base) {
		context.globalCompositeOperation = "source-over";
		context.drawImage(base, 0, 0, width, height);
		context.globalCompositeOperation = "source-in";
		context.fillStyle = colour;
		context.fillRect(0, 0, width, height);
	}
	Object.assign(context, { lineCap: "round", lineJoin: "round", strokeStyle: colour });
	for (const { isErased, size, points } of strokes) {
		context.globalCompositeOperation = isErased ? "destination-out" : "source-over";
		context.lineWidth = size;
		context.beginPath();
		context.moveTo(points[0].x + 0.01, points[0].y); // a line without length is not drawn
		for (const { x, y } of points) context.lineTo(x, y);
		context.stroke();
	}
	return context;
}
