// An invitation stands behind "#", where no server, log or preview of the link sees it, and is used by a press, so
// that nothing which only looks at the page uses it up.

const [words, enter] = ["words", "enter"].map((id) => document.getElementById(id));
const invitation = location.pathname === "/join" && location.hash.slice(1);

if (invitation) {
	words.textContent = "You are invited.";
	enter.hidden = false;
	enter.onclick = join;
} else if (!location.search) {
	// A link on another site brings nobody's cookie along (SameSite=Strict); a link of our own does.
	const me = await fetch("/api/me").catch(() => null);
	if (me?.ok) location.replace(`/?from=link${location.hash}`);
}

async function join() {
	const headers = { "X-Easel": "1", "Content-Type": "application/json" };
	const answer = await fetch("/api/join", { method: "POST", headers, body: JSON.stringify({ invitation }) }).catch(() => null);
	if (answer?.ok) return location.replace("/");
	words.textContent = (await answer?.json().catch(() => null))?.error ?? "Easel does not answer. Please try again.";
}
