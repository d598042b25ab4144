// Sentences in which `commands` are marked and requests stand as [name]: with the token a button, else what is typed.

import { make } from "./dom.js";

export const LABELS = {
  stop: "Stop", disarm: "Disarm", reset: "Reset", arm: "Arm", resume: "Resume", reduce: "Reduce speed",
  restore: "Restore speed", instruct: "Instruct", record: "Record now",
};

export function fill(element, text, { runDir = "", ask = null, key = "" } = {}) {
  const wanted = JSON.stringify([text, key]);
  if (element.dataset.key === wanted) return;
  element.dataset.key = wanted;
  const parts = [];
  for (const piece of text.split(/(\[[a-z]+\]|`[^`]+`)/)) {
    const request = /^\[([a-z]+)\]$/.exec(piece);
    if (request && ask && LABELS[request[1]]) {
      parts.push(make("button", { type: "button", onclick: () => ask(request[1]) }, LABELS[request[1]]));
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
