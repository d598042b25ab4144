// What a person asks of the robot here: the stop before all else.

import { at, make, put, toned } from "./dom.js";
import { LABELS, fill } from "./words.js";
import * as server from "./server.js";

const STOP_TRIES = 3;
const STOP_MS = 4000;
const ANSWER_MS = 8000;
const BUTTONS = ["reset", "arm", "resume", "disarm", "reduce", "restore", "record"];
let robot = null;
let shown = {};
let changed = () => {};

export const isOpen = () => robot !== null && robot.takes_requests && server.hasToken();

export function startRequests(whenChanged) {
  changed = whenChanged;
  const stop = at("stop");
  // A finger that is down has decided; a key comes as a click that no pointer made.
  stop.addEventListener("pointerdown", event => { if (event.button === 0) askStop(); });
  stop.addEventListener("click", event => { if (event.detail === 0) askStop(); });
  at("instruct").addEventListener("submit", event => { event.preventDefault(); ask("instruct", at("sentence").value); });
  at("unlock").addEventListener("click", () => openToken(""));
  at("token-form").addEventListener("submit", event => { event.preventDefault(); tryToken(); });
  at("token-close").addEventListener("click", () => at("token").close());
  at("token-forget").addEventListener("click", () => { server.remember(""); at("token").close(); changed(); });
  addEventListener("keydown", event => {
    if (event.key === "Escape") for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  });
  at("sure-no").addEventListener("click", () => at("sure").close());
  at("buttons").replaceChildren(...BUTTONS.map(name => make("button", { type: "button", "data-request": name, onclick: () => ask(name) }, LABELS[name])));
}

export function showAccess(of) {
  robot = of;
  const open = isOpen();
  at("requests").hidden = !open;
  at("unlock").hidden = !robot.takes_requests;
  put(at("unlock"), server.hasToken() ? "Token" : "Enter the token");
  fill(at("access"), !robot.takes_requests ? "For looking alone. To stop it from here: `edge-runtime page token`" : open ? "Requests are open" : "For looking, until the token is entered");
  if (open) delete at("stop").dataset.closed; else at("stop").dataset.closed = "";
  at("stop").setAttribute("aria-label", open ? "Stop the robot" : "Stop the robot: closed, this page needs its token");
}

export function showRequests(requests) {
  shown = Object.fromEntries(requests.map(one => [one.name, one]));
  for (const button of document.querySelectorAll("[data-request]")) {
    const one = shown[button.dataset.request];
    const closed = String(!one || !one.is_possible);
    if (button.getAttribute("aria-disabled") !== closed) button.setAttribute("aria-disabled", closed);
    const why = one ? one.why_not : "";
    if (button.title !== why) button.title = why;
  }
}

function say(words, tone) {
  fill(at("answer"), words, { runDir: robot?.run_dir ?? "", ask: isOpen() ? ask : null, key: String(Date.now()) });
  toned(at("answer"), tone);
}

async function askStop() {
  const stop = at("stop");
  if (!robot?.takes_requests) return say("This page can't stop the robot, as no token was made for it. USE THE ROBOT'S OWN STOP. To open the page's: `edge-runtime page token`, then load this page again.", "bad");
  if (!server.hasToken()) return openToken("This page needs its token before it can stop the robot. If it has to stop now: use the robot's own stop.");
  if ("asked" in stop.dataset) return;
  stop.dataset.asked = "";
  put(stop, "Stopping");
  let words = "", tone = "bad";
  for (let attempt = 0; attempt < STOP_TRIES; attempt += 1) {
    try {
      const answer = await server.json("/api/requests/stop", { method: "POST", body: {}, timeout: STOP_MS });
      words = answer.done ? `${answer.words} It took ${Math.round(answer.took_ms)} ms.` : answer.words;
      tone = answer.done ? "wait" : "bad";
      break;
    } catch (error) {
      words = error instanceof server.Refused ? `${error.message} IT MAY STILL BE MOVING: use the robot's own stop.` : "The page's server does not answer. IT MAY STILL BE MOVING: use the robot's own stop.";
      if (error instanceof server.Refused) { refused(error); break; }
    }
  }
  delete stop.dataset.asked;
  put(stop, "Stop");
  say(words, tone);
}

export async function ask(name, text = "") {
  if (name === "stop") return askStop();
  if (!isOpen()) return openToken("");
  const one = shown[name];
  if (one && !one.is_possible) return say(`${LABELS[name]}: ${one.why_not}`, "wait");
  if (name === "instruct" && !text.trim()) { at("sentence").focus(); return say("Type a sentence that says what it shall do.", "wait"); }
  if (name === "arm" && !await sure("Arm the robot?", "It may move from then on, with whoever is in its reach. Arm only where you see it, and nobody is.", "Arm")) return undefined;
  if (name === "reset_moved" && !await sure("Accept that the robot was moved?", "It goes on from where it is now. Look first at what moved it, and that nothing is in its way.", "Reset as moved")) return undefined;
  say(`${LABELS[name]}: asked …`, "busy");
  try {
    const answer = await server.json(`/api/requests/${name}`, { method: "POST", body: { text }, timeout: ANSWER_MS });
    say(answer.words, answer.done ? "good" : "bad");
    if (answer.done && name === "instruct") at("sentence").value = "";
  } catch (error) {
    say(error instanceof server.Refused ? error.message : "The page's server does not answer: look at the state before you ask again.", "bad");
    if (error instanceof server.Refused) refused(error);
  }
  return undefined;
}

function refused(error) {
  if (error.status === 401) openToken("The token of this browser is not the page's any more: a new one was made, or the robot was started anew.");
}

function sure(title, words, yes) {
  put(at("sure-title"), title); put(at("sure-words"), words); put(at("sure-yes"), yes);
  const dialog = at("sure");
  return new Promise(done => {
    const close = () => { dialog.removeEventListener("close", close); at("sure-yes").removeEventListener("click", agree); done(dialog.returnValue === "yes"); };
    const agree = () => dialog.close("yes");
    dialog.returnValue = "";
    dialog.addEventListener("close", close);
    at("sure-yes").addEventListener("click", agree);
    open(dialog, at("sure-no"));
  });
}

export function openToken(words) {
  put(at("token-words"), words || "With the token this browser may stop the robot, reset it, slow it down and instruct it.");
  put(at("token-answer"), "");
  at("token-forget").hidden = !server.hasToken();
  if (!at("token").open) open(at("token"), at("token-input"));
}

// Not modal: whatever else is asked, the stop can be pressed.
function open(dialog, first) {
  for (const other of document.querySelectorAll("dialog[open]")) other.close();
  dialog.show();
  first.focus();
}

async function tryToken() {
  const given = at("token-input").value.trim();
  if (!given) return;
  try {
    await server.json("/api/token", { method: "POST", body: {}, tokenFor: given });
  } catch (error) {
    put(at("token-answer"), error instanceof server.Refused ? error.message : "The page's server does not answer.");
    return;
  }
  server.remember(given);
  at("token-input").value = "";
  at("token").close();
  say("Requests are open.", "good");
  changed();
}
