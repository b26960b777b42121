// The broker's calls (doc/admin-protocol.md) over HTTP.  The token is in this variable alone: it is gone with the page.
let token = '';
let role = 'look';

export class Refused extends Error {
  constructor(status, words) {
    super(words);
    this.status = status;
  }
}

export const isAdmin = () => role === 'admin';
export const hasToken = () => token !== '';

async function answerOf(response) {
  const text = await response.text();
  let json = {};
  try {
    json = JSON.parse(text);
  } catch {
    // the status says enough
  }
  if (response.ok) return json;
  throw new Refused(response.status, json.detail ?? `HTTP ${response.status}`);
}

function send(path, options = {}) {
  const headers = { ...options.headers };
  if (token) headers.Authorization = `Bearer ${token}`;
  // Without credentials of the browser's own no dialog of its asks for a password.
  return fetch(path, { ...options, headers, credentials: 'omit', cache: 'no-store', redirect: 'error' }).then(answerOf);
}

/** A call that changes nothing. */
export function ask(name, args = {}, signal = undefined) {
  const query = new URLSearchParams(Object.entries(args).map(([k, v]) => [k, Array.isArray(v) ? v.join(',') : String(v)]));
  return send(`/v1/admin/${name}?${query}`, { signal });
}

/** A call that changes something: for the administrator. */
export function act(name, args) {
  return send(`/v1/admin/${name}`, { method: 'POST', body: JSON.stringify(args), headers: { 'Content-Type': 'application/json' } });
}

/** Reads a listing piece by piece until there are enough rows, or all was seen. */
export async function list(name, args, want, signal) {
  const rows = [];
  let from = [];
  for (let piece = 0; piece < 32; piece++) {
    const answer = await ask(name, { ...args, from, limit: Math.min(want, 1000) }, signal);
    rows.push(...answer[name]);
    from = answer.next;
    if (!from || rows.length >= want) break;
  }
  return { rows: rows.slice(0, want), more: Boolean(from) || rows.length > want };
}

/** Takes a token when it is one: of an administrator, or of somebody who may look on. */
export async function takeToken(text) {
  const before = token;
  token = text.trim();
  try {
    await ask('status', { brief: true });
    role = await ask('token-list').then(() => 'admin', () => 'look');
  } catch (problem) {
    token = before;
    throw problem;
  }
}

export function forgetToken() {
  token = '';
  role = 'look';
}
