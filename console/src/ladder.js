// From what the flow recorder tells (the call `trace`) to the columns and rows of a ladder.  Pure.

const COLUMNS_MOST = 7; // the broker's among them; what there is more shares the last

/** A message's first line and the header fields that its row shows. */
export function readMessage(event) {
  const text = event.message ?? '';
  const end = text.indexOf('\r\n\r\n');
  const lines = (end < 0 ? text : text.slice(0, end)).split('\r\n');
  const response = /^SIP\/2\.0 (\d{3}) ?(.*)$/.exec(lines[0]);
  const request = /^([^ ]+) ([^ ]+) SIP\/2\.0$/.exec(lines[0]);
  const fields = {};
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(':');
    const name = colon > 0 ? line.slice(0, colon).trim().toLowerCase() : '';
    if (name && !(name in fields)) fields[name] = line.slice(colon + 1).trim();
  }
  return {
    label: response ? `${response[1]} ${response[2]}` : request ? request[1] : event.message ? lines[0] : '(not text)',
    status: response ? Number(response[1]) : 0,
    method: request?.[1] ?? '',
    target: request?.[2] ?? '',
    fields,
    body: end < 0 ? '' : text.slice(end + 4),
  };
}

function noteOf(m) {
  const f = m.fields;
  const notes = [];
  if (m.method && m.method !== 'NOTIFY') notes.push(m.target);
  if (f['subscription-state']) notes.push(f['subscription-state']);
  if (m.method !== 'NOTIFY' && (f.expires ?? '') !== '') notes.push(`Expires ${f.expires}`);
  if (f['herald-fired']) notes.push(`fired ${f['herald-fired']}`);
  if (f.cseq) notes.push(`CSeq ${f.cseq.split(' ')[0]}`);
  if (f['retry-after']) notes.push(`Retry-After ${f['retry-after']}`);
  return notes.join(' · ');
}

/** What each flow is: its newest subject. */
function subjectsOf(events) {
  const subjects = new Map();
  for (const event of events) {
    if (event.kind !== 'subject') continue;
    subjects.set(event.flow, event);
    if (event.call && !/^0+$/.test(event.call)) subjects.set(event.call, event);
  }
  return subjects;
}

/**
 * Columns: who subscribes on the left, the broker, who publishes on the right.
 * @returns {{columns: {key, name, address, side}[], at: Map<string, number>, broker: number}}
 */
export function columnsOf(events, subjects = subjectsOf(events)) {
  const left = [];
  const right = [];
  const seen = new Map();
  for (const event of events) {
    if (event.kind !== 'message') continue;
    const subject = subjects.get(event.flow);
    const known = seen.get(event.remote);
    if (known) {
      known.name ||= subject?.who ?? '';
      continue;
    }
    const column = { key: event.remote, name: subject?.who ?? '', address: event.remote, side: subject?.subject === 'publication' ? 'right' : 'left' };
    seen.set(event.remote, column);
    (column.side === 'right' ? right : left).push(column);
  }
  const rights = right.slice(0, Math.max(COLUMNS_MOST - 1 - left.length, Math.ceil(COLUMNS_MOST / 2)));
  const lefts = left.slice(0, COLUMNS_MOST - 1 - rights.length);
  const columns = [...lefts, { key: '', name: 'herald', address: '', side: 'broker' }, ...rights];
  const at = new Map(columns.map((column, i) => [column.key, i]));
  for (const column of [...left.slice(lefts.length), ...right.slice(rights.length)])
    at.set(column.key, column.side === 'left' ? Math.max(lefts.length - 1, 0) : columns.length - 1);
  return { columns, at, broker: lefts.length };
}

/** Columns and rows of a ladder; a row is a message with an arrow, or a decision. */
export function layout(events) {
  const subjects = subjectsOf(events);
  const { columns, at, broker } = columnsOf(events, subjects);
  const rows = [];
  for (const event of events) {
    const row = { key: keyOf(event), at_ms: event.at_us / 1000, event };
    if (event.kind === 'message') {
      const m = readMessage(event);
      const remote = at.get(event.remote) ?? 0;
      const out = event.direction === 'out';
      rows.push({ ...row, kind: 'message', from: out ? broker : remote, to: out ? remote : broker, label: m.label, note: noteOf(m),
        tone: toneOf(m), message: m });
    } else if (event.words && !event.now) {
      rows.push({ ...row, kind: event.kind, words: event.words, tone: decisionTone(event) });
    }
  }
  return { columns, broker, rows };
}

function toneOf(m) {
  if (m.status >= 400) return m.status === 401 || m.status === 407 ? 'dim' : 'bad';
  return m.status >= 200 ? 'good' : '';
}

function decisionTone(event) {
  if (event.kind === 'subject') return event.status === 401 || event.status === 407 ? 'dim' : event.status >= 400 ? 'bad' : '';
  if (['timeout', 'deny', 'unkept', 'drop'].includes(event.what)) return 'bad';
  return event.what === 'hold' ? 'wait' : '';
}

function keyOf(event) {
  return [event.shard, event.at_us, event.flow, event.kind, event.direction ?? event.what ?? event.subject, (event.message ?? event.words ?? '').slice(0, 80)].join(' ');
}

/** Puts what is new behind what is there: each once, the newest `most`. */
export function mergeEvents(old, fresh, most) {
  const seen = new Set(old.map(keyOf));
  const all = [...old, ...fresh.filter((event) => !seen.has(keyOf(event)))];
  return all.length > most ? all.slice(all.length - most) : all;
}
