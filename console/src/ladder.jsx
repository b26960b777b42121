// A ladder as it happens: columns are addresses, an arrow is a message, a dot a decision of the broker.
import { useEffect, useRef, useState } from 'preact/hooks';
import { ask, isAdmin } from './api.js';
import { layout, mergeEvents } from './ladder.js';
import { usePoll } from './poll.js';
import { clip, clock, octets, visible } from './text.js';
import { Name, Problem } from './widgets.jsx';

const EVENTS_MOST = 600;

/** What is recorded about something, growing. */
function useTrace(about) {
  const known = useRef({ events: [], next: null });
  useEffect(() => {
    known.current = { events: [], next: null };
  }, [about]);
  return usePoll(async (signal) => {
    const k = known.current;
    const answer = await ask('trace', { about, limit: 400, ...(k.next ? { since: k.next } : {}) }, signal).catch((problem) => {
      k.next = null; // the broker may have another number of shards now
      throw problem;
    });
    k.events = mergeEvents(k.next ? k.events : [], answer.events, EVENTS_MOST);
    k.next = answer.next;
    return k.events;
  }, 1000, [about]);
}

function percent(column, of) {
  return `${((column + 0.5) / of) * 100}%`;
}

function Arrow({ row, n }) {
  const left = Math.min(row.from, row.to);
  const width = Math.abs(row.to - row.from);
  return (
    <div class={`arrow ${row.to > row.from ? 'right' : 'left'} ${row.tone}`} style={{ left: percent(left, n), width: `${(width / n) * 100}%` }}>
      <span class="arrow-label">{clip(row.label, 40)}</span>
    </div>
  );
}

function Message({ row }) {
  const e = row.event;
  const m = row.message;
  const head = m.body ? (e.message ?? '').slice(0, -m.body.length) : e.message ?? '';
  return (
    <div class="octets">
      <div class="dim">{e.direction === 'out' ? 'sent to' : 'received from'} {e.transport} <Name of={e.remote} />{e.cut ? ', the end is missing' : ''}</div>
      <pre>{e.message_hex ? clip(e.message_hex, 8000) : visibleLines(head)}</pre>
      {m.body ? <pre class="body">{visibleLines(m.body)}</pre> : null}
      {e.body_octets ? <p class="dim">A body of {octets(e.body_octets)}: event state is shown to the administrator.</p> : null}
    </div>
  );
}

// Lines stay lines; all else that cannot be seen is shown.
function visibleLines(text) {
  const most = 20000;
  const shown = text.slice(0, most).split(/\r?\n/).map(visible).join('\n').trimEnd();
  return text.length > most ? `${shown}\n… (${text.length} characters)` : shown;
}

function Row({ row, columns, broker, open, onOpen }) {
  const n = columns.length;
  return (
    <div class={`step ${row.kind} ${row.tone} ${open ? 'open' : ''}`}>
      <button type="button" class="step-line" aria-expanded={open} disabled={row.kind !== 'message'} onClick={onOpen}>
        <time>{clock(row.at_ms)}</time>
        <div class="lanes" aria-hidden="true">
          {columns.map((c, i) => <i key={c.key} class={`life ${i === broker ? 'broker' : ''}`} style={{ left: percent(i, n) }} />)}
          {row.kind === 'message' ? <Arrow row={row} n={n} /> : <b class="dot" style={{ left: percent(broker, n) }} />}
        </div>
        <span class="step-note"><bdi>{row.kind === 'message' ? <><b class="step-label">{clip(row.label, 40)} </b>{clip(row.note, 160)}</> : clip(row.words, 300)}</bdi></span>
      </button>
      {open ? <Message row={row} /> : null}
    </div>
  );
}

export function Ladder({ about }) {
  const { data, error } = useTrace(about);
  const [open, setOpen] = useState('');
  const { columns, rows, broker } = layout(data ?? []);
  return (
    <div class="panel ladder">
      <div class="ladder-head">
        <span class="live">{error ? 'waiting' : 'live'}</span>
        <div class="lanes">
          {columns.map((c, i) => (
            <div key={c.key} class="party" style={{ left: percent(i, columns.length), width: `${100 / columns.length}%` }}>
              <strong><Name of={c.name || 'somebody'} most={40} /></strong>
              <span class="mono dim"><Name of={c.address || '\u00a0'} most={50} /></span>
            </div>
          ))}
        </div>
        <span />
      </div>
      <Problem error={error} />
      {data && !rows.length ? <p class="empty">Nothing of it is recorded by now; what happens next is shown here.</p> : null}
      {rows.map((row) => <Row key={row.key} row={row} columns={columns} broker={broker} open={open === row.key}
        onOpen={() => setOpen(open === row.key ? '' : row.key)} />)}
      {isAdmin() ? null : <p class="dim small">Bodies, and the values that filters compared, are shown to the administrator.</p>}
    </div>
  );
}
