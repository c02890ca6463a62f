// The list of titles that can be played, and how far the others have come.
import { minutes, titles } from "/static/api.js";

const status = document.getElementById("status");
const list = document.getElementById("titles");

function entry(title) {
  const item = document.createElement("li");
  const name = document.createElement(title.version ? "a" : "span");
  name.textContent = title.title;
  if (title.version) name.href = `/watch/${title.contentId}`;
  const about = document.createElement("span");
  about.className = "soft";
  about.textContent = title.version ? playable(title) : waiting(title.ingest);
  item.append(name, about);
  return item;
}

function playable(title) {
  const top = Math.max(...title.rungs.map((rung) => rung.height));
  return `${minutes(title.durationS)} · up to ${top}p`;
}

function waiting(ingest) {
  if (ingest.state === "failed") return `failed: ${ingest.detail}`;
  return `${ingest.state}, ${Math.round(ingest.progress * 100)} %`;
}

try {
  const found = await titles();
  list.replaceChildren(...found.map(entry));
  list.hidden = found.length === 0;
  status.hidden = found.length > 0;
  status.textContent = "No titles yet. An operator brings one in with: headrace ingest FILE --title NAME";
} catch (error) {
  status.textContent = error.message;
}
