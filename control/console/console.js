"use strict";
// Puts in the sections that the stream sends. What has the focus keeps it.
const at = (id) => document.getElementById(id);
const OLD_MS = 5000;
let heard = 0;
let source = null;

function say(text, stale) {
  const live = at("live");
  if (live.textContent !== text) live.textContent = text;
  live.className = stale ? "stale" : "";
}

function put(id, html) {
  const section = at(id);
  const focused = section.contains(document.activeElement) ? document.activeElement.id : "";
  section.innerHTML = html;
  if (focused && at(focused)) at(focused).focus({preventScroll: true});
}

function open() {
  source = new EventSource("/events");
  source.onmessage = (event) => {
    heard = Date.now();
    for (const [id, html] of Object.entries(JSON.parse(event.data))) put(id, html);
    say("Live.", false);
  };
  source.onerror = () => {
    say("Not live: the figures are old.", true);
    if (source.readyState === EventSource.CLOSED) setTimeout(again, OLD_MS);
  };
}

// The browser tries again by itself unless it was refused: then the session may be over.
async function again() {
  try {
    const answer = await fetch("/", {redirect: "manual"});
    if (answer.type === "opaqueredirect") location.assign("/login");
    else open();
  } catch {
    setTimeout(again, OLD_MS);
  }
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    source.close();
  } else if (source.readyState === EventSource.CLOSED) {
    open();
  }
});
open();
