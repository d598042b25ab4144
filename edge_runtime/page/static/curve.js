// One axis over the last half minute: what the policy planned, what the kernel let through, where the axis was.

import uPlot from "./uplot/uPlot.esm.js";
import { at, colour, number, put } from "./dom.js";
import { digits } from "./axes.js";

const SPAN_S = 20;
const AHEAD_S = 2;
const HEIGHT = 240;

// A chart of three lines in the page's own colours; `low` and `high` are drawn where they are near.
export function chart(element, { unit, low, high, xLabel, range }) {
  element.replaceChildren();
  const line = (name, dash, width = 2) => ({ stroke: () => colour(name), width, dash, points: { show: false }, spanGaps: false });
  const axis = { stroke: () => colour("dim"), grid: { stroke: () => colour("track"), width: 1 }, ticks: { stroke: () => colour("line"), width: 1 }, font: "12px system-ui, sans-serif" };
  const plot = new uPlot({
    width: Math.max(280, element.clientWidth), height: HEIGHT, legend: { show: false }, cursor: { show: false }, pxAlign: false,
    scales: { x: { time: false, range }, y: { range: (_, from, to) => padded(from, to) } },
    axes: [{ ...axis, label: xLabel, labelSize: 18, size: 32, labelFont: "12px system-ui, sans-serif" }, { ...axis, label: unit, labelSize: 18, size: 58, labelFont: "12px system-ui, sans-serif" }],
    series: [{}, line("planned", undefined, 6), line("commanded"), line("measured", undefined, 1.5)],
    hooks: { draw: [u => ends(u, low, high)] },
  }, [[], [], [], []], element);
  const watch = new ResizeObserver(() => { if (element.clientWidth > 0) plot.setSize({ width: element.clientWidth, height: HEIGHT }); });
  watch.observe(element);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plot.redraw());
  return { plot, remove() { watch.disconnect(); plot.destroy(); } };
}

function padded(from, to) {
  if (from === null || to === null) return [-1, 1];
  const room = Math.max(0.01, 0.12 * (to - from));
  return [from - room, to + room];
}

function ends(u, low, high) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.strokeStyle = colour("bad");
  ctx.lineWidth = 1.5;
  for (const limit of [low, high]) {
    if (limit === null || limit < u.scales.y.min || limit > u.scales.y.max) continue;
    const y = u.valToPos(limit, "y", true);
    ctx.beginPath(); ctx.moveTo(bbox.left, y); ctx.lineTo(bbox.left + bbox.width, y); ctx.stroke();
  }
  const now = u.valToPos(0, "x", true);
  if (now >= bbox.left && now <= bbox.left + bbox.width) {
    ctx.strokeStyle = colour("dim"); ctx.lineWidth = 1; ctx.setLineDash([3, 3]);
    ctx.beginPath(); ctx.moveTo(now, bbox.top); ctx.lineTo(now, bbox.top + bbox.height); ctx.stroke();
  }
  ctx.restore();
}

export class Curve {
  constructor() { this.chosen = 0; this.forget(); this.drawn = null; }

  forget() { this.number = 0; this.t = []; this.planned = []; this.commanded = []; this.measured = []; }

  choose(index, axis) {
    this.chosen = index; this.axis = axis; this.forget();
    put(at("curve-axis"), axis.name);
    if (this.drawn) this.drawn.remove();
    this.drawn = chart(at("curve-chart"), { unit: axis.unit, low: axis.low, high: axis.high, xLabel: "s from now", range: () => [-SPAN_S, AHEAD_S] });
  }

  show(curve) {
    if (curve.axis !== this.chosen || !this.drawn) return;
    // Time that went back is another run's.
    if (curve.number < this.number || (curve.t_s.length && this.t.length && curve.t_s[0] < this.t[this.t.length - 1])) this.forget();
    this.number = curve.number;
    for (const name of ["planned", "commanded", "measured"]) this[name].push(...curve[name]);
    this.t.push(...curve.t_s);
    const newest = this.t[this.t.length - 1];
    if (newest === undefined) return;
    let old = 0;
    while (old < this.t.length && this.t[old] < newest - SPAN_S - 1) old += 1;
    for (const name of ["t", "planned", "commanded", "measured"]) this[name].splice(0, old);
    const none = curve.ahead.map(() => null);
    this.drawn.plot.setData([
      [...this.t, ...curve.ahead_t_s.map(t => Math.max(t, newest + 1e-4))].map(t => t - newest),
      [...this.planned, ...curve.ahead], [...this.commanded, ...none], [...this.measured, ...none],
    ]);
    const last = values => number(values[values.length - 1], digits(this.axis.unit));
    put(at("curve-words"), `Now: planned ${last(this.planned)}, commanded ${last(this.commanded)}, measured ${last(this.measured)} ${this.axis.unit}.`);
  }
}
