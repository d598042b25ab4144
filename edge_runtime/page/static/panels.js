// Lists of values: policy, margins, latency, update, processes, events.

import { at, list, make, number, put, toned } from "./dom.js";

const SIGNS = { good: "✓", busy: "›", wait: "!", bad: "✕", unknown: "?" };
const MS = value => value === null ? "–" : `${number(value, value < 10 ? 2 : 1)} ms`;
const EVENTS_SHOWN = 200;

export function showPolicy(policy) {
  list(at("policy-list"), [
    ["instruction", policy.instruction, policy.is_refused ? "bad" : ""],
    ["policy", policy.words, policy.tone === "good" ? "" : policy.tone],
    ["bundle", policy.bundle + (policy.standby ? `, ${policy.standby} stands by` : "")],
    ["proof", policy.proof],
    ["attempts", policy.episodes ? `${policy.successes} of ${policy.episodes} succeeded since the page started` : "none have ended since the page started"],
  ]);
}

export function showMargins(margins, robot) {
  const joint = margins.stop_margin === null ? "not known" : `${number(margins.stop_margin, 4)} ${margins.stop_margin_unit}, ${margins.stop_margin_axis}`;
  const least = robot.clearance_min_m;
  const links = least === null ? "no geometry: links are not watched" : margins.stop_margin_m === null ? `not measured now, at least ${number(1000 * least, 0)} mm is kept` : `${number(1000 * margins.stop_margin_m, 0)} mm, at least ${number(1000 * (least ?? 0), 0)} mm is kept`;
  list(at("margins-list"), [
    ["end of a range", joint, margins.stop_margin !== null && margins.stop_margin <= 0 ? "bad" : ""],
    ["links", links, margins.stop_margin_m !== null && margins.stop_margin_m < (least ?? 0) ? "bad" : ""],
    ["speed", margins.speed, margins.reduced || (margins.speed_scale !== null && margins.speed_scale < 1) ? "wait" : ""],
    ["tool", robot.tool_speed_max_m_s === null ? "its speed has no limit" : `at most ${number(robot.tool_speed_max_m_s, 2)} m/s`],
  ]);
  put(at("interventions"), `${margins.interventions}.`);
}

export function showLatency(parts) {
  const bar = at("latency-bar"), rows = at("latency-rows");
  const total = parts[parts.length - 1];
  const shown = parts.slice(0, -1);
  if (bar.children.length !== shown.length) {
    bar.replaceChildren(...shown.map((_, index) => make("div", { class: `part-${index}` })));
    rows.replaceChildren(...parts.map((part, index) => make("tr", { class: part === total ? "total" : "" },
      make("th", { scope: "row", class: `part-${index}` }, ...(part === total ? [] : [make("span", { class: "key" })]), part.name), make("td"), make("td"))));
  }
  const sum = shown.reduce((all, part) => all + Math.max(0, part.p50_ms ?? 0), 0);
  shown.forEach((part, index) => { bar.children[index].style.width = sum ? `${100 * Math.max(0, part.p50_ms) / sum}%` : "0"; });
  parts.forEach((part, index) => {
    put(rows.children[index].children[1], MS(part.p50_ms));
    put(rows.children[index].children[2], MS(part.p99_ms));
  });
}

const MB = bytes => number(bytes / 1e6, 1);
const UPDATES = { idle: "none under way", downloading: "downloading", verifying: "verifying", staged: "staged", building: "building", golden_check: "golden check", ready: "ready", activating: "changing over", probation: "on trial", committed: "committed", rolling_back: "rolling back", failed: "given up or rolled back", "": "agent silent" };

export function showUpdate(update) {
  at("update").hidden = update === null;
  if (update === null) return;
  put(at("update-state"), UPDATES[update.state] ?? update.state);
  toned(at("update-state"), update.tone);
  put(at("update-words"), `${update.words}.`);
  at("update-share").hidden = update.share === null;
  if (update.share !== null) {
    at("update-progress").value = update.share;
    put(at("update-bytes"), `${MB(update.bytes_done)} of ${MB(update.bytes_total)} MB, ${number(100 * update.share, 0)} %`);
  }
  list(at("update-list"), [
    ["acts now", update.running, ""], ["update", update.release, ""], ["on trial", update.trial, "wait"],
    ["reason", update.reason, update.tone === "bad" ? "bad" : ""], ["agent", update.detail, ""],
  ].filter(row => row[1]));
}

export function showMachine(machine) {
  const alive = Object.entries(machine.alive);
  const down = alive.filter(([, lives]) => !lives).map(([name]) => name);
  list(at("machine-list"), [
    ["alive", alive.filter(([, lives]) => lives).map(([name]) => name).join(", ") || "none"],
    ["down", down.join(", ") || "none", down.length ? "bad" : ""],
    ["timing", machine.timing],
    ["grade", machine.grade || "not known yet"],
    ["recording", machine.recording_problem || machine.recording || "none yet", machine.recording_problem ? "bad" : ""],
  ]);
}

export function addEvents(events) {
  const shown = at("events-list");
  for (const event of events) {
    const when = new Date(1000 * event.time_s);
    shown.prepend(make("li", { "data-tone": event.tone, "data-kind": event.kind },
      make("time", { datetime: when.toISOString() }, when.toLocaleTimeString([], { hour12: false })),
      make("span", { class: "sign", "aria-hidden": "true" }, SIGNS[event.tone] ?? ""), make("span", {}, event.words)));
  }
  while (shown.children.length > EVENTS_SHOWN) shown.lastChild.remove();
}
