"use strict";
// Asks every two seconds, one request at a time; a hidden tab does not ask.
const EVERY_MS = 2000;
const SIGNS = {ok: "●", reserve: "◌", busy: "▲", full: "■", draining: "▽", held: "?", silent: "✕"};
const COLUMNS = ["id", "role", "region", "load", "connections", "egressMbps", "ageS"];
const at = (id) => document.getElementById(id);

function row(node) {
  const line = document.createElement("tr");
  for (const name of COLUMNS) line.insertCell().textContent = node[name];
  const state = line.insertCell(1);
  state.className = node.state;
  state.textContent = `${SIGNS[node.state] || ""} ${node.state}`;
  return line;
}

function say(text, stale) {
  const live = at("live");
  if (live.textContent !== text) live.textContent = text;
  live.className = stale ? "stale" : "";
}

async function refresh() {
  if (!document.hidden) {
    try {
      const answer = await fetch("/api/v1/admin/nodes", {signal: AbortSignal.timeout(5000)});
      if (answer.status === 403) location.assign("/login");
      if (!answer.ok) throw new Error(`control answered ${answer.status}`);
      const {nodes, mapVersion, registry} = await answer.json();
      at("nodes").replaceChildren(...nodes.map(row));
      at("version").textContent = mapVersion;
      at("registry").textContent = registry;
      say("Live.", false);
    } catch (error) {
      say(`Not live: ${error.message}. The table is old.`, true);
    }
  }
  setTimeout(refresh, EVERY_MS);
}

refresh();
