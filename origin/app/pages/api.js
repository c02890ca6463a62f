// Questions to origin. Every failure is an Error whose message can be shown as it is.

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, { ...options, signal: AbortSignal.timeout(10000) });
  } catch {
    throw new Error("The origin cannot be reached. Check that it is running, then try again.");
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(inWords(answer.status, body));
  return body;
}

function inWords(status, body) {
  if (status === 404) return "There is no such title.";
  if (body.error === "no_edge") return "No edge can serve this right now. Try again in a moment.";
  if (status === 409) return `This title cannot be played yet: ${body.message}`;
  return `Origin refused (${status}): ${body.message ?? "no reason given"}`;
}

export async function titles() {
  return (await ask("/api/v1/titles")).titles;
}

export function title(contentId) {
  return ask(`/api/v1/titles/${contentId}`);
}

export function start(contentId, format) {
  const device = { deviceType: "Web", deviceId: deviceId() };
  const options = { method: "POST", headers: { "Content-Type": "application/json" } };
  return ask("/api/v1/playback/start", { ...options, body: JSON.stringify({ contentId, device, format }) });
}

// An id of this page only: nothing about the viewer is kept.
let id;
function deviceId() {
  id ??= Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return id;
}

export function minutes(seconds) {
  const whole = Math.round(seconds ?? 0);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
