// Small parts of the page.  All that comes from a peer is text: a child of an element, never markup.
import { clip, shortName, visible } from './text.js';
import { writePlace } from './query.js';

/** A name that a peer chose: its own direction of writing, bounded, the whole of it as a tooltip. */
export function Name({ of, most = 120, short = true }) {
  if (!of) return <span class="dim">–</span>;
  const text = short ? shortName(of) : of;
  return <bdi class="name" title={text.length > most ? visible(text.slice(0, 1000)) : undefined}>{clip(text, most)}</bdi>;
}

export function Chip({ tone = '', children }) {
  return <span class={`chip ${tone}`}>{children}</span>;
}

const HEALTH = { 'in-sync': ['good', 'in sync'], 'in-flight': ['', 'in flight'], behind: ['wait', 'behind'], parked: ['bad', 'parked'] };

export function Health({ row }) {
  const [tone, words] = HEALTH[row.health] ?? ['', row.health];
  if (row.backoff_s && row.health !== 'parked') return <Chip tone="wait">backing off</Chip>;
  if (row.unanswered_ms >= 2000) return <Chip tone="wait">no answer</Chip>;
  return <Chip tone={tone}>{words}</Chip>;
}

export function State({ of }) {
  return <Chip tone={of === 'active' ? 'good' : of === 'pending' ? 'wait' : ''}>{of}</Chip>;
}

export function Problem({ error }) {
  if (!error) return null;
  const words = error.status ? error.message : 'The broker does not answer; trying again.';
  return <p class="problem" role="status">{clip(words, 400)}</p>;
}

export function ResourceLink({ of }) {
  return <a href={writePlace('resource', of)}><Name of={of} /></a>;
}

/** A table whose cells say on a narrow screen what they are. */
export function Table({ columns, rows, keyOf, empty, onRow }) {
  if (!rows.length) return <p class="empty">{empty}</p>;
  return (
    <table class="rows">
      <thead>
        <tr>{columns.map((c) => <th key={c.name} class={c.kind}>{c.name}</th>)}</tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={keyOf(row)} class={onRow ? 'link' : ''} onClick={onRow ? (e) => e.target.closest('a, button') || onRow(row) : undefined}>
            {columns.map((c) => <td key={c.name} class={c.kind} data-name={c.name}>{c.cell(row)}</td>)}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function Search({ value, onValue, hint }) {
  return (
    <input class="search" type="search" value={value} placeholder={hint} spellcheck={false} autocomplete="off" maxLength={200} aria-label="search"
      onInput={(e) => onValue(e.currentTarget.value)} />
  );
}

export function Tile({ name, value, unit, note, tone = '', href }) {
  const body = (
    <>
      <div class="tile-name">{name}</div>
      <div class="tile-value">{value}{unit ? <span class="tile-unit"> {unit}</span> : null}</div>
      <div class="tile-note">{note ?? '\u00a0'}</div>
    </>
  );
  return href ? <a class={`tile ${tone}`} href={href}>{body}</a> : <div class={`tile ${tone}`}>{body}</div>;
}
