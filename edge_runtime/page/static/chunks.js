// Chunks over the last ten seconds: a bar from where one is followed, or was ready, to where it ends.

import { at, colour, number, put } from "./dom.js";

const FROM_S = -10;
const LANES = 5;
const COLOURS = { followed: "good", replaced: "dim", arrived: "busy", refused: "bad" };

export function showChunks(chunks) {
  const canvas = at("chunks-canvas");
  const until = Math.max(1, ...chunks.shown.map(chunk => Math.min(chunk.until_s, 6)));
  const width = canvas.clientWidth, height = canvas.clientHeight, scale = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale); canvas.height = Math.round(height * scale);
  }
  const ctx = canvas.getContext("2d");
  ctx.setTransform(scale, 0, 0, scale, 0, 0);
  ctx.clearRect(0, 0, width, height);
  const x = s => (s - FROM_S) / (until - FROM_S) * width;
  const lane = (height - 22) / LANES;
  ctx.font = "11px system-ui, sans-serif";
  for (let s = FROM_S; s <= until; s += 2) {
    ctx.fillStyle = colour("track"); ctx.fillRect(x(s), 0, 1, height - 18);
    ctx.fillStyle = colour("dim"); ctx.textAlign = s === FROM_S ? "left" : "center"; ctx.fillText(s === 0 ? "now" : `${number(s, 0)} s`, x(s), height - 4);
  }
  const followed = chunks.shown.filter(chunk => chunk.fate === "followed" && chunk.from_s !== null);
  const next = new Map(followed.map((chunk, index) => [chunk.sequence, followed[index + 1]?.from_s ?? 0]));
  for (const chunk of chunks.shown) {
    const from = Math.max(FROM_S, chunk.from_s ?? chunk.published_s);
    const y = (chunk.sequence % LANES) * lane + 2;
    const end = x(Math.min(chunk.until_s, until));
    ctx.fillStyle = ctx.strokeStyle = colour(COLOURS[chunk.fate]);
    if (chunk.fate === "refused") {
      ctx.fillRect(x(from), y, 12, lane - 3);
      ctx.fillStyle = colour("card"); ctx.textAlign = "center"; ctx.fillText("×", x(from) + 6, y + lane / 2 + 2);
      continue;
    }
    // A line for how far it reaches, a bar for as long as it was the one that is followed.
    ctx.fillRect(x(from), y + lane / 2 - 2, Math.max(2, end - x(from)), 1.5);
    if (chunk.fate === "followed") ctx.fillRect(x(from), y, Math.max(3, x(Math.min(next.get(chunk.sequence) ?? 0, chunk.until_s)) - x(from)), lane - 3);
    else if (chunk.fate === "arrived") { ctx.lineWidth = 1.5; ctx.strokeRect(x(from), y + 1, 6, lane - 5); }
    else { ctx.globalAlpha = 0.5; ctx.fillRect(x(from), y, 6, lane - 3); ctx.globalAlpha = 1; }
  }
  ctx.fillStyle = colour("fg"); ctx.fillRect(x(0) - 0.5, 0, 1.5, height - 16);
  const count = fate => chunks.shown.filter(chunk => chunk.fate === fate).length;
  const left = chunks.left_s === null ? "No plan is followed." : chunks.left_s > 0 ? `The plan that is followed was made from what was seen ${number(chunks.age_s, 2)} s ago and reaches another ${number(chunks.left_s, 2)} s.` : "The plan that is followed has run out.";
  put(at("chunks-words"), `${left} In ten seconds ${chunks.shown.length} came: ${count("followed")} followed, ${count("replaced")} replaced, ${count("refused")} refused.`);
  const refusals = [...new Set(chunks.shown.filter(chunk => chunk.fate === "refused").map(chunk => chunk.refusal))];
  put(at("chunks-refused"), `${refusals.length ? `Refused because: ${refusals.join("; ")}. ` : ""}Refused messages in all: ${chunks.refused}.`);
}
