// Every axis as a bar from one end of its range to the other, with what is measured and what is commanded.

import { at, make, number, put } from "./dom.js";

const NEAR = 0.04;
let rows = [];

export function buildAxes(robot, choose) {
  rows = [];
  const groups = robot.groups.map(group => {
    const items = group.axes.map(axis => row(axis, rows.length, choose));
    return make("div", { class: "group" }, make("h3", {}, group.kind === group.name ? group.name : `${group.name} (${group.kind})`), make("ul", {}, ...items));
  });
  at("groups").replaceChildren(...groups);
}

// Tenths of a millimetre, and thousandths of anything else.
export function digits(unit) { return unit.startsWith("m") ? 4 : 3; }

function ends(axis) {
  if (axis.low !== null && axis.high !== null) return [axis.low, axis.high];
  return [-Math.PI, Math.PI];
}

// A long name breaks behind an underscore, not inside a word.
function breakable(name) {
  return name.split(/(?<=[_-])/).flatMap((piece, index) => index ? [make("wbr"), piece] : [piece]);
}

function row(axis, index, choose) {
  const [low, high] = ends(axis);
  const endless = axis.low === null;
  const button = make("button", { type: "button", "aria-pressed": "false", onclick: () => choose(index) }, ...breakable(axis.name));
  const measured = make("div", { class: "mark" });
  const commanded = make("div", { class: "mark commanded" });
  const words = endless ? ["−π", "turns without end", "π"] : [number(low, 2), axis.is_velocity ? "0" : "", number(high, 2)];
  const bar = make("div", { class: "bar", role: "meter", "aria-label": `${axis.name}, measured, ${axis.unit}`, "aria-valuemin": low, "aria-valuemax": high, "aria-valuenow": low },
    make("div", { class: "track" }), commanded, measured, make("div", { class: "ends", "aria-hidden": "true" }, ...words.map(word => make("span", {}, word))));
  const output = make("output", {}, "–");
  const item = make("li", { class: "axis", title: `${axis.kind.replace("_", " ")}, ${endless ? "no ends" : `${number(low)} to ${number(high)} ${axis.unit}`}${axis.speed_max === null ? "" : `, at most ${number(axis.speed_max, 2)} ${axis.is_velocity ? axis.unit : axis.rate_unit}`}` }, button, bar, output);
  rows.push({ axis, item, button, bar, measured, commanded, output, low, high, endless });
  return item;
}

const share = (value, { low, high, endless }) => {
  const shown = endless ? value - 2 * Math.PI * Math.round(value / (2 * Math.PI)) : value;
  return Math.min(1, Math.max(0, (shown - low) / (high - low)));
};

export function showAxes(look, chosen) {
  rows.forEach((row, index) => {
    const pressed = String(index === chosen);
    if (row.button.getAttribute("aria-pressed") !== pressed) row.button.setAttribute("aria-pressed", pressed);
    const value = look.measured[index], told = look.commanded[index];
    if (value === undefined) return;
    row.measured.style.left = `${100 * share(value, row)}%`;
    row.commanded.style.left = `${100 * share(told, row)}%`;
    const text = `${number(value, digits(row.axis.unit))} ${row.axis.unit}`;
    put(row.output, text);
    row.bar.setAttribute("aria-valuenow", String(Math.min(row.high, Math.max(row.low, value))));
    row.bar.setAttribute("aria-valuetext", text);
    const margin = NEAR * (row.high - row.low), outside = 0.001 * (row.high - row.low);
    let near = "";
    if (!row.endless && !row.axis.is_gripper) {
      if (value < row.low - outside || value > row.high + outside) near = "out";
      else if (value < row.low + margin || value > row.high - margin) near = "end";
    }
    if (near) row.item.dataset.near = near; else delete row.item.dataset.near;
  });
}
