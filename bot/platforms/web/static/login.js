// The invitation stands behind "#", hidden from servers, logs and link previews. A press uses it up.

const [words, enter] = ["words", "enter"].map((id) => document.getElementById(id));
const invitation = location.pathname === "/join" && location.hash.slice(1);

if (invitation) {
	words.textContent = "You are invited.";
	enter.hidden = false;
	enter.onclick = join;
} else if (!location.search) {
	// SameSite=Strict: a link on another site sends no cookie, our own redirect does.
	const me = await fetch("/api/me").catch(() => null);
	if (me?.ok) location.replace(`/?from=link${location.hash}`);
}

async function join() {
	const headers = { "X-Easel": "1", "Content-Type": "application/json" };
	const answer = await fetch("/api/join", { method: "POST", headers, body: JSON.stringify({ invitation }) }).catch(() => null);
	if (answer?.ok) return location.replace("/");
	words.textContent = (await answer?.json().catch(() => null))?.error ?? "Easel does not answer. Please try again.";
}
