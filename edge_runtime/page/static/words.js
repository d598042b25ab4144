// Sentences in which `commands` are marked and requests stand as [name]: with the token a button, else what is typed.

import { make } from "./dom.js";

export const LABELS = {
  stop: "Stop", disarm: "Disarm", reset: "Reset", reset_moved: "Reset as moved", arm: "Arm", resume: "Resume", reduce: "Reduce speed",
  restore: "Restore speed", instruct: "Instruct", record: "Record now",
};

export function fill(element, text, { runDir = "", ask = null, key = "" } = {}) {
  const wanted = JSON.stringify([text, key]);
  if (element.dataset.key === wanted) return;
  element.dataset.key = wanted;
  const parts = [];
  for (const piece of text.split(/(\[[a-z]+(?: --[a-z]+)?\]|`[^`]+`)/)) {
    const request = /^\[([a-z]+(?: --[a-z]+)?)\]$/.exec(piece);
    const name = request ? request[1].replace(" --", "_") : "";
    if (request && ask && LABELS[name]) {
      parts.push(make("button", { type: "button", onclick: () => ask(name) }, LABELS[name]));
    } else if (request) {
      parts.push(make("code", {}, `edge-runtime operator ${request[1]}${runDir ? ` --run-dir ${runDir}` : ""}`));
    } else if (piece.startsWith("`")) {
      parts.push(make("code", {}, piece.slice(1, -1)));
    } else if (piece) {
      parts.push(piece);
    }
  }
  element.replaceChildren(...parts);
}
