// Every player tells the edge how play goes (CMCD in the query), and asks for nothing more often because of it.
// One face for three libraries. Each maker takes (video, url, on) and gives {rung, subtitles, choose, close}.
// `on.segment({url, age, cacheStatus})` after every media segment, `on.subtitles()` when the list is known,
// `on.fatal(message)` when play is over. Native HLS is never used: what it does cannot be seen from a page.

const NO_MSE = "This browser has no Media Source Extensions, and this page does not fall back on built-in HLS.";
const STANDS_MS = 15000;
const NO_LIBRARY = "The player libraries are not installed at this origin. Its operator gets them with: make demo";

export async function play(kind, video, url, on) {
  if (kind === "hls.js") return viaHls(video, url, on);
  return kind === "dash.js" ? viaDash(video, url, on) : viaShaka(video, url, on);
}

function viaHls(video, url, on) {
  const Hls = window.Hls;
  if (!Hls) throw new Error(NO_LIBRARY);
  if (!Hls.isSupported()) throw new Error(NO_MSE);
  const hls = new Hls({ subtitlePreference: { default: false }, cmcd: {} });
  let recovered = false;
  hls.on(Hls.Events.ERROR, (_, data) => {
    if (!data.fatal) return;
    if (data.type === Hls.ErrorTypes.MEDIA_ERROR && !recovered) {
      recovered = true;
      hls.recoverMediaError();
      return;
    }
    on.fatal(hlsInWords(data));
  });
  hls.on(Hls.Events.FRAG_LOADED, (_, data) => {
    const request = data.networkDetails;
    const read = (name) => request?.getResponseHeader?.(name) ?? request?.headers?.get?.(name) ?? null;
    on.segment({ url: request?.responseURL || data.frag.url, age: read("Age"), cacheStatus: read("Cache-Status") });
  });
  hls.on(Hls.Events.SUBTITLE_TRACKS_UPDATED, () => {
    hls.subtitleDisplay = false; // until somebody chooses: AUTOSELECT tracks would show by themselves
    on.subtitles();
  });
  hls.loadSource(url);
  hls.attachMedia(video);
  return {
    rung: () => {
      const level = hls.levels[hls.currentLevel];
      return level ? { height: level.height, kbps: Math.round(level.bitrate / 1000) } : null;
    },
    subtitles: () => hls.subtitleTracks.map((track) => track.name || track.lang),
    choose: (index) => {
      hls.subtitleDisplay = index >= 0;
      hls.subtitleTrack = index;
    },
    close: async () => hls.destroy(),
  };
}

function hlsInWords(data) {
  const status = data.response?.code;
  if (status === 403) return "The edge refused: the play token is not accepted any more. Try again for a new one.";
  if (status === 404) return "The edge does not know this title.";
  if (data.type === "networkError") return "The edge stopped answering.";
  return `The stream could not be decoded (${data.details}).`;
}

// A request that failed is no end: the player may turn to another edge. Fatal only where play then stands still.
function unlessItGoesOn(video, on, message) {
  const [at, until] = [video.currentTime, performance.now() + STANDS_MS];
  const look = () => {
    if (video.currentTime > at + 1 || video.ended) return;
    if (performance.now() < until || video.paused) setTimeout(look, 1000);
    else on.fatal(message);
  };
  look();
}

async function viaShaka(video, url, on) {
  const shaka = window.shaka;
  if (!shaka) throw new Error(NO_LIBRARY);
  shaka.polyfill.installAll();
  if (!shaka.Player.isBrowserSupported()) throw new Error(NO_MSE);
  const player = new shaka.Player();
  await player.attach(video);
  player.configure({ streaming: { preferNativeHls: false, preferNativeDash: false }, cmcd: { enabled: true } });
  player.addEventListener("error", ({ detail }) => {
    if (detail.category === shaka.util.Error.Category.NETWORK) unlessItGoesOn(video, on, shakaInWords(detail));
    else if (detail.severity === shaka.util.Error.Severity.CRITICAL) on.fatal(shakaInWords(detail));
  });
  player.addEventListener("trackschanged", () => on.subtitles());
  player.getNetworkingEngine().registerResponseFilter((type, response) => {
    if (type !== shaka.net.NetworkingEngine.RequestType.SEGMENT) return;
    const { age = null, "cache-status": cacheStatus = null } = response.headers;
    on.segment({ url: response.uri, age, cacheStatus });
  });
  player.load(url).then(on.subtitles, (error) => {
    if (error.code !== shaka.util.Error.Code.LOAD_INTERRUPTED) on.fatal(shakaInWords(error));
  });
  return {
    rung: () => {
      const track = player.getVariantTracks().find((each) => each.active);
      return track ? { height: track.height, kbps: Math.round(track.bandwidth / 1000) } : null;
    },
    subtitles: () => player.getTextTracks().map((track) => track.label || track.language),
    // In HLS Shaka 5.2 shows WebVTT from the next video segment on that it loads: up to a segment later, and not at all
    // once the whole film is buffered.
    choose: (index) => player.selectTextTrack(player.getTextTracks()[index] ?? null),
    close: () => player.destroy(),
  };
}

function shakaInWords(error) {
  const status = error.data?.[1];
  if (status === 401 || status === 403) {
    return "The edge refused: the play token is not accepted any more. Try again for a new one.";
  }
  if (status === 404) return "The edge does not know this title.";
  if (error.category === 1) return "The edge stopped answering.";
  return `The stream could not be played (Shaka error ${error.code}).`;
}

async function viaDash(video, url, on) {
  await library("/players/dash.js"); // only who chooses it loads it: it is the largest of the three
  const dashjs = window.dashjs;
  if (!dashjs) throw new Error(NO_LIBRARY);
  if (!dashjs.supportsMediaSource()) throw new Error(NO_MSE);
  const player = dashjs.MediaPlayer().create();
  player.initialize();
  player.updateSettings({ streaming: { text: { defaultEnabled: false }, cmcd: { enabled: true } } });
  player.on("error", ({ error }) => {
    if (error.code >= 25 && error.code <= 29 && video.readyState > 0) unlessItGoesOn(video, on, dashInWords(error));
    else on.fatal(dashInWords(error));
  });
  player.on("allTextTracksAdded", () => on.subtitles());
  player.addResponseInterceptor((response) => {
    const { request, headers = {} } = response;
    if (request?.customData?.request?.type === "MediaSegment" && response.status < 300) {
      on.segment({ url: request.url, age: headers.age ?? null, cacheStatus: headers["cache-status"] ?? null });
    }
    return Promise.resolve(response);
  });
  const ready = new Promise((resolve) => ["streamInitialized", "error"].forEach((event) => player.on(event, resolve)));
  player.attachView(video);
  player.attachSource(url);
  await ready; // it asks for steering when play begins, and does not see a beginning before this
  const texts = () => player.getTracksFor("text");
  return {
    rung: () => {
      const found = player.getCurrentRepresentationForType("video");
      return found ? { height: found.height, kbps: Math.round(found.bandwidth / 1000) } : null;
    },
    subtitles: () => texts().map((track) => track.labels?.[0]?.text || track.lang || "–"),
    choose: (index) => player.setTextTrack(index),
    close: async () => player.destroy(),
  };
}

function library(path) {
  const script = document.createElement("script");
  script.src = path;
  const loaded = new Promise((resolve) => {
    script.onload = script.onerror = resolve; // one that is missing is told by whoever needs it
  });
  document.head.append(script);
  return loaded;
}

function dashInWords(error) {
  const status = error.data?.response?.status;
  if (status === 403) return "The edge refused: the play token is not accepted any more. Try again for a new one.";
  if (status === 404) return "The edge does not know this title.";
  if (error.code >= 25 && error.code <= 29) return "The edge stopped answering.";
  return `The stream could not be played (dash.js error ${error.code}).`;
}
