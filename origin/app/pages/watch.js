// The watch page: chooses a player, starts a session, shows what happens. `window.headrace` is the same for scripts.
import { start, title } from "/static/api.js";
import { play } from "/static/players.js";

const KINDS = ["hls.js", "shaka-hls", "shaka-dash", "dash.js"];
const contentId = location.pathname.split("/")[2];
const element = (id) => document.getElementById(id);
const video = element("video");
const state = { player: null, format: null, rung: null, buffer: 0, frames: { decoded: 0, dropped: 0 } };
window.headrace = Object.assign(state, { edge: null, age: null, cacheStatus: null, error: null });

let current = null;
let session = 0; // an older session's late callbacks are not this one's
let sessionStarted = Promise.resolve();

function begin(kind) {
  const mine = ++session;
  sessionStarted = sessionStarted.then(() => (mine === session ? open(kind, mine) : undefined));
}

async function open(kind, mine) {
  forget(kind);
  await current?.close();
  current = null;
  try {
    const started = await start(contentId, state.format);
    if (mine !== session) return;
    state.edge = new URL(started.manifestUrl).host;
    current = await play(kind, video, started.manifestUrl, callbacks(mine));
    if (mine === session) await video.play().catch(() => {}); // blocked autoplay: the controls are there
  } catch (error) {
    if (mine === session) fail(error.message);
  }
}

function callbacks(mine) {
  const only = (work) => (value) => mine === session && work(value);
  return {
    segment: only(({ url, age, cacheStatus }) => {
      Object.assign(state, { edge: new URL(url).host, age, cacheStatus });
    }),
    subtitles: only(listSubtitles),
    fatal: only(fail),
  };
}

function forget(kind) {
  const format = kind === "shaka-dash" || kind === "dash.js" ? "dash" : "hls";
  Object.assign(state, { player: kind, format, rung: null, buffer: 0, edge: null, age: null, cacheStatus: null });
  Object.assign(state, { error: null, frames: { decoded: 0, dropped: 0 } });
  element("error").hidden = true;
  element("subtitles").replaceChildren(new Option("Off", "-1"));
  element("subtitles").disabled = true;
}

function fail(message) {
  state.error = message;
  element("error-text").textContent = message;
  element("error").hidden = false;
}

function listSubtitles() {
  if (!current) return;
  const menu = element("subtitles");
  const names = current.subtitles();
  if (names.length === menu.length - 1) return;
  const chosen = menu.value;
  menu.replaceChildren(new Option("Off", "-1"), ...names.map((name, index) => new Option(name, index)));
  menu.value = [...menu.options].some((option) => option.value === chosen) ? chosen : "-1";
  menu.disabled = names.length === 0;
}

function ahead() {
  for (let at = 0; at < video.buffered.length; at++) {
    const [from, to] = [video.buffered.start(at), video.buffered.end(at)];
    if (from <= video.currentTime + 0.1 && video.currentTime <= to) return to - video.currentTime;
  }
  return 0;
}

function look() {
  const quality = video.getVideoPlaybackQuality();
  state.rung = current?.rung() ?? null;
  state.buffer = Math.round(ahead() * 10) / 10;
  state.frames = { decoded: quality.totalVideoFrames, dropped: quality.droppedVideoFrames };
  listSubtitles();
  show();
}

function show() {
  const { rung, frames } = state;
  element("rung").textContent = rung ? `${rung.height}p, ${rung.kbps} kbit/s` : "–";
  element("buffer").textContent = `${state.buffer.toFixed(1)} s`;
  element("frames").textContent = `${frames.decoded} / ${frames.dropped}`;
  element("edge").textContent = state.edge ?? "–";
  element("age").textContent = state.age === null ? "–" : `${state.age} s`;
  element("cache").textContent = state.cacheStatus ?? "–";
}

function choose(kind) {
  const address = new URL(location.href);
  address.searchParams.set("player", kind);
  history.replaceState(null, "", address);
  begin(kind);
}

for (const radio of document.querySelectorAll("input[name=player]")) {
  radio.addEventListener("change", () => choose(radio.value));
}
element("subtitles").addEventListener("change", (event) => current?.choose(Number(event.target.value)));
element("again").addEventListener("click", () => begin(state.player));
setInterval(look, 500);

const asked = new URLSearchParams(location.search).get("player");
const first = KINDS.includes(asked) ? asked : KINDS[0];
document.querySelector(`input[value="${first}"]`).checked = true;
begin(first);
try {
  const found = await title(contentId);
  element("title").textContent = found.title;
  document.title = `${found.title} · Headrace`;
} catch (error) {
  element("title").textContent = contentId;
  fail(error.message);
}
