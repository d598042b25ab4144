// Pictures, one after the other over a single connection: what else is asked for, a stop above all, has others free.

import { at, make } from "./dom.js";
import { call } from "./server.js";

const PAUSE_MS = 90;
const HIDDEN_MS = 1500;
let run = 0;

export function startCameras(robot) {
  run += 1;
  at("cameras").hidden = robot.cameras.length === 0;
  const shown = robot.cameras.map(name => ({ name, after: "0", url: "", image: make("img", { alt: `${name} camera: no picture yet` }) }));
  at("pictures").replaceChildren(...shown.map(one => make("figure", {}, one.image, make("figcaption", {}, one.name))));
  if (shown.length) loop(shown, run);
}

async function loop(shown, mine) {
  while (mine === run) {
    for (const one of shown) await picture(one).catch(() => pause(500));
    await pause(document.hidden ? HIDDEN_MS : PAUSE_MS);
  }
}

async function picture(one) {
  const response = await call(`/api/cameras/${encodeURIComponent(one.name)}.jpg?after=${one.after}`, { timeout: 4000 });
  if (response.status !== 200) { if (!response.ok) await pause(500); return; }
  one.after = response.headers.get("X-Number") ?? "0";
  const before = one.url;
  one.url = URL.createObjectURL(await response.blob());
  one.image.src = one.url;
  one.image.alt = `${one.name} camera`;
  if (before) URL.revokeObjectURL(before);
}

const pause = ms => new Promise(done => { setTimeout(done, ms); });
