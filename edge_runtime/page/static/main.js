// Looks at the robot six times a second, shows what comes, and says so when nothing does.

import { buildAxes, showAxes } from "./axes.js";
import { startCameras } from "./cameras.js";
import { showChunks } from "./chunks.js";
import { Curve } from "./curve.js";
import { at, number, put } from "./dom.js";
import { addEvents, showLatency, showMachine, showMargins, showPolicy, showUpdate } from "./panels.js";
import { startRecordings } from "./recordings.js";
import { ask, isOpen, openToken, showAccess, showRequests, startRequests } from "./requests.js";
import * as server from "./server.js";
import { showOld, showTile } from "./tile.js";

const VERSION = 1;
const PAUSE_MS = 150;
const HIDDEN_MS = 1000;
const OLD_S = 1.0;
const LOST_S = 1.5;
const BACK_SHOWN_MS = 60000;

const curve = new Curve();
let robot = null;
let axes = [];
let eventNumber = 0;
let last = null;
let heardMs = performance.now();
let everHeard = false;
let lostSince = null;

async function meet() {
  const met = await server.json("/api/robot");
  if (met.version !== VERSION) { location.reload(); return; }
  const before = robot;
  robot = met;
  axes = robot.groups.flatMap(group => group.axes);
  eventNumber = 0;
  at("events-list").replaceChildren();
  put(at("robot"), robot.name);
  put(at("embodiment"), `${robot.embodiment}: ${robot.groups.map(group => `${group.name}, ${group.axes.length} ${group.axes.length === 1 ? "axis" : "axes"}`).join("; ")}`);
  put(at("about"), `Driver ${robot.driver}. edge-runtime ${robot.runtime_version}. The page's stop is a request over a network, and no emergency stop.`);
  buildAxes(robot, choose);
  showAccess(robot);
  const chosen = before && before.embodiment === robot.embodiment ? curve.chosen : firstAxis();
  choose(chosen);
  startCameras(robot);
}

const firstAxis = () => Math.max(0, axes.findIndex(axis => !axis.is_gripper));

function choose(index) {
  if (!axes[index]) return;
  curve.choose(index, axes[index]);
  if (last) showAxes(last, index);
}

async function look() {
  const seen = await server.json(`/api/look?axis=${curve.chosen}&since=${curve.number}&events=${eventNumber}`);
  const restarted = robot.boot !== seen.boot;
  heard(restarted);
  if (restarted) { await meet(); return; }
  last = seen;
  if (seen.events.length) { eventNumber = seen.events[seen.events.length - 1].number; addEvents(seen.events); }
  showAge();
  showRequests(seen.requests);
  showAxes(seen, curve.chosen);
  curve.show(seen.curve);
  showChunks(seen.chunks);
  showMargins(seen.margins, robot);
  showLatency(seen.latency);
  showPolicy(seen.policy);
  showMachine(seen.machine);
  showUpdate(seen.update);
}

function heard(restarted) {
  const now = performance.now();
  if (everHeard && (lostSince !== null || restarted)) {
    const gone = (now - (lostSince ?? heardMs)) / 1000;
    const why = restarted ? "the page's server was started again" : "the connection was lost";
    const back = at("back");
    put(back, `Back at ${new Date().toLocaleTimeString([], { hour12: false })}, after ${number(gone, 0)} s: ${why}.`);
    back.hidden = false;
    setTimeout(() => { back.hidden = true; }, BACK_SHOWN_MS);
  }
  heardMs = now;
  everHeard = true;
  lostSince = null;
}

// Also while nothing comes: what is old must not look new.
function showAge() {
  const silent = (performance.now() - heardMs) / 1000;
  const lost = at("lost");
  if (silent > LOST_S) {
    lostSince ??= heardMs;
    const words = `No word from the page's server for ${number(silent, 0)} s: what is shown below is old.`;
    put(lost, `${words} Is its process running? (systemctl status edge-runtime-page, or edge-runtime run)`);
    lost.hidden = false;
    old(words);
    return;
  }
  lost.hidden = true;
  if (!last) return;
  const age = last.control_age_s === null ? null : last.control_age_s + silent;
  if (age === null) {
    old("No word from control yet: is the robot's software running?");
  } else if (age > OLD_S) {
    old(`No word from control for ${number(age, 0)} s: what is shown below is old.`);
  } else {
    delete document.body.dataset.old;
    showTile(last.standing, { runDir: robot.run_dir, ask: isOpen() ? ask : null, key: String(isOpen()) });
    known = last.standing.state;
    title(last.standing.state);
  }
}

let known = "";

function old(words) {
  document.body.dataset.old = "";
  showOld(words, known);
  title("no word");
}

function title(state) {
  const words = robot ? `${state} · ${robot.name}` : state;
  if (document.title !== words) document.title = words;
}

async function loop() {
  for (;;) {
    try {
      if (robot === null) await meet();
      await look();
    } catch (error) {
      if (error instanceof server.Refused && error.status === 401) {
        heardMs = performance.now();
        openToken("This page is private: looking needs its token.");
        await pause(2000);
      }
    }
    await pause(document.hidden ? HIDDEN_MS : PAUSE_MS);
  }
}

const pause = ms => new Promise(done => { setTimeout(done, ms); });

server.start();
startRequests(() => { if (robot) showAccess(robot); });
startRecordings();
setInterval(showAge, 250);
loop();
