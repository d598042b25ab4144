// The black box: which recordings there are, and one of them as curves, with what the kernel makes of it now.

import { chart } from "./curve.js";
import { at, make, number, put, toned } from "./dom.js";
import { json } from "./server.js";

const OPEN_MS = 100000;
let drawn = null;

export function startRecordings() {
  at("recordings-look").addEventListener("click", look);
  at("opened-axis").addEventListener("change", draw);
}

async function look() {
  put(at("recordings-words"), "Looking …");
  try {
    const found = await json("/api/recordings");
    put(at("recordings-words"), found.recordings.length ? `${found.recordings.length} in ${found.folder}` : `None yet in ${found.folder}. One is written after every trip, and when it is asked for.`);
    at("recordings-list").replaceChildren(...found.recordings.map(row));
  } catch (error) { put(at("recordings-words"), error.message); }
}

function row(recording) {
  const when = new Date(recording.written);
  const open = make("button", { type: "button", "aria-label": `Open the recording of ${when.toLocaleString()}, ${recording.cause}`, onclick: () => show(recording) }, "Open");
  return make("li", {}, make("div", {}, recording.cause, make("small", {}, `${when.toLocaleString()}, ${number(recording.size_bytes / 1e6, 1)} MB, ${recording.name}`)), open);
}

let recording = null;

async function show(chosen) {
  put(at("recordings-words"), `Opening it, and running it through the safety kernel again …`);
  try {
    recording = await json(`/api/recordings/${encodeURIComponent(chosen.name)}`, { timeout: OPEN_MS });
  } catch (error) { put(at("recordings-words"), `It can't be opened: ${error.message}`); return; }
  put(at("recordings-words"), "");
  at("opened").hidden = false;
  put(at("opened-title"), `${recording.robot}, ${new Date(recording.written_utc).toLocaleString()}: ${recording.cause}`);
  put(at("opened-verdict"), `${recording.is_identical ? "Identical" : "Different"}: ${recording.verdict}${recording.torn ? ` Cut off: ${recording.torn}.` : ""}`);
  toned(at("opened-verdict"), recording.is_identical && !recording.torn ? "good" : "bad");
  at("opened-why").replaceChildren(...recording.reasons.map(one => make("li", {}, one.words)));
  at("opened-axis").replaceChildren(...recording.axes.map((axis, index) => make("option", { value: String(index) }, axis.name)));
  const span = one => make("time", {}, `${number(one.from_s)} to ${number(one.until_s)} s`);
  at("opened-states").replaceChildren(...recording.states.map(one => make("li", {}, span(one), make("span", {}, `${one.name}: ${one.words}`))));
  at("opened-acted").replaceChildren(...recording.acted.map(one => make("li", {}, span(one), make("span", {}, `${one.name}: ${one.words}`))));
  draw();
  at("opened").scrollIntoView({ block: "start" });
}

function draw() {
  if (drawn) drawn.remove();
  const axis = recording.axes[Number(at("opened-axis").value)];
  const t = recording.t_s;
  drawn = chart(at("opened-chart"), { unit: axis.unit, low: axis.low, high: axis.high, xLabel: "s", range: () => [t[0], Math.max(t[t.length - 1], t[0] + 0.01)] });
  drawn.plot.setData([t, axis.setpoint, axis.command, axis.measured]);
}
