// Elements and words. Whatever comes from elsewhere is text: nothing here makes markup of a string.

export const at = id => document.getElementById(id);

export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") element.className = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

// Sets text only where it differs, so that a screen reader is not told the same again and again.
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function toned(element, tone) {
  if (element.dataset.tone !== tone) element.dataset.tone = tone;
}

export function list(element, rows) {
  const key = JSON.stringify(rows);
  if (element.dataset.key === key) return;
  element.dataset.key = key;
  const parts = [];
  for (const [term, text, tone] of rows) {
    const value = make("dd", {}, text);
    if (tone) { value.className = "toned"; value.dataset.tone = tone; }
    parts.push(make("dt", {}, term), value);
  }
  element.replaceChildren(...parts);
}

export const number = (value, digits = 3) => value === null || value === undefined ? "–" : value.toFixed(digits).replace(/^-(0\.?0*)$/, "$1").replace("-", "−");

export const colour = name => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
