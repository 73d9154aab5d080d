// The bot over HTTP. Everything that is asked carries an id, so asking again after a broken line asks once.

const WAITS = [400, 1000, 2500, 5000]; // milliseconds

/** JSON from a path. */
export async function read(path, query = {}) {
  const response = await fetch(`${path}?${new URLSearchParams(query)}`);
  if (!response.ok) throw new Error(await sentence(response));
  return response.json();
}

/** Sends a body, with files by option name; tries again while the bot is away. Throws what a person should read. */
export async function send(path, body, files = {}) {
  const whole = { ...body, request_id: newId() };
  for (const wait of [...WAITS, null]) {
    try {
      const response = await fetch(path, { method: "POST", ...packed(whole, files) });
      if (response.ok) return await response.json();
      if (response.status < 500) throw Object.assign(new Error(await sentence(response)), { final: true });
    } catch (error) {
      if (error.final) throw error;
    }
    if (wait === null) break;
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
  throw new Error("Easel does not answer. Your words are still here: try again in a moment.");
}

function packed(body, files) {
  const names = Object.keys(files);
  if (!names.length) return { body: JSON.stringify(body), headers: { "X-Easel": "1", "Content-Type": "application/json" } };
  const form = new FormData();
  form.append("ask", JSON.stringify(body));
  for (const name of names) form.append(name, files[name], files[name].name);
  return { body: form, headers: { "X-Easel": "1" } };
}

async function sentence(response) {
  try {
    return (await response.json()).error;
  } catch {
    return `Easel answered ${response.status}.`;
  }
}

/** An id nobody can guess. `randomUUID` is only there on https and on this machine. */
export function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Watches one channel. `on` has snapshot(list), message(one), change(difference) and state(isConnected). */
export class Feed {
  constructor(channel, on) {
    Object.assign(this, { channel, on, position: "", source: null, timer: 0, failures: 0 });
    this.open();
  }

  open() {
    clearTimeout(this.timer);
    this.source?.close();
    const query = new URLSearchParams({ channel: this.channel, after: this.position });
    const source = (this.source = new EventSource(`/api/events?${query}`));
    source.onopen = () => {
      this.failures = 0;
      this.on.state(true);
    };
    for (const name of ["snapshot", "message", "change"]) {
      source.addEventListener(name, (event) => {
        this.position = event.lastEventId || this.position;
        this.on[name](JSON.parse(event.data));
      });
    }
    source.addEventListener("bye", () => this.again());
    source.onerror = () => this.again();
  }

  /** Something was missed: everything once more. */
  reload() {
    this.position = "";
    this.open();
  }

  again() {
    this.source.close();
    this.on.state(false);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(), Math.min(500 * 2 ** this.failures++, 8000));
  }

  close() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }
}
