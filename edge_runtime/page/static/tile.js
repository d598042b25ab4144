// How the robot stands, why, and what to do next; and the same in short beside the stop button.

import { at, make, put, toned } from "./dom.js";
import { fill } from "./words.js";

export function showTile(standing, context) {
  const state = at("tile-state");
  put(state, standing.state);
  put(at("tile-words"), standing.words[0].toUpperCase() + standing.words.slice(1) + ".");
  toned(at("tile"), standing.tone);
  sentences(at("tile-why"), standing.why);
  fill(at("tile-next"), standing.next_step, context);
  put(at("tile-moved"), standing.moved_by ? `Moved by ${standing.moved_by}.` : "");
  put(at("pill-state"), standing.state);
  put(at("pill-words"), standing.why.length ? standing.why[0].words : standing.words);
  toned(at("pill"), standing.tone);
  const changes = at("changes-list");
  sentences(changes, standing.changes.length ? standing.changes : [{ name: "", words: "It changed nothing.", is_alarming: false }]);
}

// What was last known is never shown as what is: the tile says that there is no word, and for how long.
export function showOld(words, last) {
  put(at("tile-state"), "no word");
  put(at("tile-words"), words);
  at("tile-why").replaceChildren();
  delete at("tile-why").dataset.key;
  fill(at("tile-next"), "If it has to stand still: use the robot's own stop.", { key: "old" });
  put(at("tile-moved"), last ? `The last that was heard: ${last}.` : "");
  toned(at("tile"), "unknown");
  put(at("pill-state"), "no word");
  put(at("pill-words"), words);
  toned(at("pill"), "unknown");
}

function sentences(element, shown) {
  const key = JSON.stringify(shown);
  if (element.dataset.key === key) return;
  element.dataset.key = key;
  element.replaceChildren(...shown.map(one => make("li", { "data-tone": one.is_alarming ? "bad" : "good", "data-name": one.name },
    one.words, ...(one.name ? [make("span", { class: "name" }, one.name)] : []))));
}
