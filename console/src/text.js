// What peers wrote, and numbers, as text for people.  Pure.

// Controls, and characters that turn the direction of writing or have no width, would make one name look like another.
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\ufff9-\ufffb]/gu;

/** Shows what cannot be seen: "‹U+202E›". */
export function visible(text) {
  return String(text).replace(UNSEEN, (c) => `‹U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}›`);
}

/** The beginning of a long text, and how long it is. */
export function clip(text, most = 120) {
  const characters = Array.from(String(text).slice(0, 4 * most + 4));
  if (characters.length <= most && String(text).length <= 4 * most + 4) return visible(characters.join(''));
  return `${visible(characters.slice(0, most).join(''))}… (${count(String(text).length)} characters)`;
}

/** "sip:bob@example.test" as "bob@example.test": what all begin with says nothing. */
export function shortName(key) {
  return String(key).replace(/^sips?:/, '');
}

export function count(n) {
  return Math.round(n).toString().replace(/\B(?=(\d{3})+$)/g, ' ');
}

/** Three digits that matter. */
export function rate(n) {
  if (n == null || !Number.isFinite(n)) return '–';
  if (n >= 100) return count(n);
  if (n >= 10) return n.toFixed(1);
  return n === 0 ? '0' : n.toFixed(2);
}

export function octets(n) {
  if (n < 1024) return `${n} B`;
  return n < 1024 * 1024 ? `${(n / 1024).toFixed(1)} KiB` : `${(n / 1024 / 1024).toFixed(1)} MiB`;
}

export function microseconds(us) {
  if (us == null) return '–';
  if (us < 1000) return `${Math.round(us)} µs`;
  if (us < 1e6) return `${(us / 1000).toFixed(us < 1e4 ? 2 : us < 1e5 ? 1 : 0)} ms`;
  return `${(us / 1e6).toFixed(us < 1e7 ? 2 : 1)} s`;
}

/** "3 d 4 h", "12 min", "41 s": two units at most. */
export function duration(s) {
  const units = [['d', 86400], ['h', 3600], ['min', 60], ['s', 1]];
  const first = units.findIndex(([, n]) => s >= n);
  if (first < 0) return '0 s';
  const parts = units.slice(first, first + 2).map(([name, n], i) => [name, i ? Math.floor((s % units[first][1]) / n) : Math.floor(s / n)]);
  return parts.filter(([, n], i) => n || !i).map(([name, n]) => `${n} ${name}`).join(' ');
}

/** The time of day of a time stamp in milliseconds since 1970. */
export function clock(ms, withDate = false) {
  const d = new Date(ms);
  const two = (n) => String(n).padStart(2, '0');
  const time = `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}.${String(d.getMilliseconds()).padStart(3, '0')}`;
  return withDate ? `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${time}` : time;
}
