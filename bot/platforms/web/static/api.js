// Requests to the bot. Each carries an id: the bot handles a repeated request once.

const WAITS = [400, 1000, 2500, 5000, null]; // milliseconds; null gives up

/** Returns the JSON of a path. Throws a sentence. */
export async function read(path, query = {}) {
	const response = await fetch(`${path}?${new URLSearchParams(query)}`);
	if (!response.ok) throw await readError(response);
	return response.json();
}

/** Posts JSON once; returns the response. Throws a sentence. */
export async function post(path, body) {
	const response = await fetch(path, { method: "POST", ...pack(body, []) }).catch(() => null);
	if (!response) throw new Error("Easel does not answer. Please try again in a moment.");
	if (!response.ok) throw await readError(response);
	return response;
}

/** Sends a body, with files by option name; tries again while the bot is away. Throws a sentence. */
export async function send(path, body, files = {}) {
	const whole = pack({ ...body, request_id: newId() }, Object.entries(files));
	for (const wait of WAITS) {
		const response = await fetch(path, { method: "POST", ...whole }).catch(() => null);
		if (response?.ok) return response.json();
		if (response && response.status < 500) throw await readError(response);
		if (wait) await new Promise((resolve) => setTimeout(resolve, wait));
	}
	throw new Error("Easel does not answer. Nothing is lost: try again in a moment.");
}

function pack(body, files) {
	const json = JSON.stringify(body);
	if (!files.length) return { body: json, headers: { "X-Easel": "1", "Content-Type": "application/json" } };
	const form = new FormData();
	form.append("ask", json); // the bot reads the JSON first
	for (const [name, file] of files) form.append(name, file, file.name);
	return { body: form, headers: { "X-Easel": "1" } };
}

async function readError(response) {
	const { error } = await response.json().catch(() => ({}));
	return new Error(error ?? `Easel answered ${response.status}.`);
}

/** Returns an unguessable id. Browsers offer `randomUUID` on https and on this machine alone. */
export function newId() {
	return crypto.randomUUID?.() ?? Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Watches one channel: onState(isConnected), and onEvent(name, data) for snapshot, message, change and gone. */
export class Feed {
	constructor(channel, onState, onEvent) {
		Object.assign(this, { channel, onState, onEvent, position: "", failures: 0 });
		this.open();
	}

	open() {
		this.close();
		const source = (this.source = new EventSource(`/api/events?${new URLSearchParams({ channel: this.channel, after: this.position })}`));
		source.onopen = () => {
			this.failures = 0;
			this.onState(true);
		};
		for (const name of ["snapshot", "message", "change", "gone"]) {
			source.addEventListener(name, (event) => {
				this.position = event.lastEventId || this.position;
				this.onEvent(name, JSON.parse(event.data));
			});
		}
		source.onerror = () => this.reconnect();
		source.addEventListener("bye", source.onerror);
	}

	/** Starts again with a snapshot, after a gap in the changes. */
	reload() {
		this.position = "";
		this.open();
	}

	reconnect() {
		this.close();
		this.onState(false);
		this.timer = setTimeout(() => this.open(), Math.min(500 * 2 ** this.failures++, 8000));
	}

	close() {
		clearTimeout(this.timer);
		this.source?.close();
		this.source = null;
	}
}
