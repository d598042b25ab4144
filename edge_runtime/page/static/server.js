// The server: what it is asked, with the token where there is one, and never longer than a wait that a person bears.

const STORED = "edge-runtime.token";
let token = "";

// A link opens the page with its token once; it stays neither in the address nor in the history.
function fromLink() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!given) return "";
  history.replaceState(null, "", location.pathname + location.search);
  return given;
}

export function start() {
  const given = fromLink();
  try {
    if (given) localStorage.setItem(STORED, given);
    token = given || localStorage.getItem(STORED) || "";
  } catch { token = given; }
  addEventListener("hashchange", () => { const next = fromLink(); if (next) { remember(next); location.reload(); } });
}

export const hasToken = () => token !== "";

export function remember(given) {
  token = given;
  try { if (given) localStorage.setItem(STORED, given); else localStorage.removeItem(STORED); } catch { /* private window */ }
}

export async function call(path, { method = "GET", body, timeout = 3000, tokenFor = token } = {}) {
  const headers = {};
  if (tokenFor) headers.Authorization = `Bearer ${tokenFor}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  return fetch(path, {
    method, headers, cache: "no-store", credentials: "omit", referrerPolicy: "no-referrer",
    body: body === undefined ? undefined : JSON.stringify(body), signal: AbortSignal.timeout(timeout),
  });
}

export async function json(path, options) {
  const response = await call(path, options);
  const value = await response.json();
  if (!response.ok) throw new Refused(response.status, value.words || `The page's server answered ${response.status}.`);
  return value;
}

export class Refused extends Error {
  constructor(status, words) { super(words); this.status = status; }
}
