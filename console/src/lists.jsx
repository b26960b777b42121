// Listings with search: subscriptions, publications, resources, those who do not answer, and who decided what.
import { useState } from 'preact/hooks';
import { ask, list } from './api.js';
import { usePoll } from './poll.js';
import { matching, readSearch, writePlace } from './query.js';
import { clock, count, duration, octets } from './text.js';
import { Chip, Health, Name, Problem, ResourceLink, Search, State, Table } from './widgets.jsx';

const STEP = 100;
const MOST = 1000;

const open = (row) => {
  location.hash = writePlace('sub', row.id);
};

const expires = { name: 'expires', kind: 'number', cell: (r) => duration(r.expires_s) };
const SUB_COLUMNS = [
  { name: 'watcher', cell: (r) => <a href={writePlace('sub', r.id)}><Name of={r.watcher} /></a> },
  { name: 'watches', cell: (r) => <ResourceLink of={r.resource} /> },
  { name: 'package', cell: (r) => <Name of={r.package} /> },
  { name: 'state', cell: (r) => <State of={r.state} /> },
  { name: 'health', cell: (r) => <Health row={r} /> },
  { name: 'known by', cell: (r) => r.proof },
  { name: 'next hop', kind: 'mono', cell: (r) => <>{r.transport} <Name of={r.remote} /></> },
  expires,
];

function Listing({ name, columns, keyOf, hint, empty, fixed, onRow }) {
  const [text, setText] = useState('');
  const [want, setWant] = useState(STEP);
  const keys = JSON.stringify({ ...fixed, ...readSearch(text) });
  const { data, error } = usePoll((signal) => list(name, JSON.parse(keys), want, signal), 3000, [keys, want]);
  return (
    <main>
      {fixed?.resource ? null : <div class="bar"><Search value={text} onValue={setText} hint={hint} /><span class="dim">{said(data)}</span></div>}
      <Problem error={error} />
      {data ? <Table columns={columns} rows={data.rows} keyOf={keyOf} empty={empty} onRow={onRow} /> : null}
      {data?.more && want < MOST ? <button type="button" onClick={() => setWant(want + STEP)}>More</button> : null}
      {data?.more && want >= MOST ? <p class="empty">The first {count(want)} are shown; search for what you mean.</p> : null}
    </main>
  );
}

function said(data) {
  if (!data) return '';
  return data.more ? `the first ${count(data.rows.length)}` : `${count(data.rows.length)} found`;
}

export function Subs({ resource }) {
  return <Listing name="subs" columns={SUB_COLUMNS} keyOf={(r) => r.id} onRow={open} fixed={resource ? { resource } : undefined}
    hint="Search a name, an address, a Call-ID; package:presence, is:sick" empty="There is no such subscription." />;
}

const PUB_COLUMNS = [
  { name: 'resource', cell: (r) => <ResourceLink of={r.resource} /> },
  { name: 'package', cell: (r) => <Name of={r.package} /> },
  { name: 'publisher', cell: (r) => <Name of={r.publisher} /> },
  { name: 'type', cell: (r) => <Name of={r.type} /> },
  { name: 'size', kind: 'number', cell: (r) => octets(r.size) },
  { name: 'entity-tag', kind: 'mono', cell: (r) => <Name of={r.etag} most={12} /> },
  expires,
];

export function Pubs({ resource }) {
  return <Listing name="pubs" columns={PUB_COLUMNS} keyOf={(r) => r.etag} fixed={resource ? { resource } : undefined}
    hint="Search a name or a type; package:presence" empty="There is no such publication." />;
}

const RESOURCE_COLUMNS = [
  { name: 'resource', cell: (r) => <ResourceLink of={r.resource} /> },
  { name: 'package', cell: (r) => <Name of={r.package} /> },
  { name: 'subscriptions', kind: 'number', cell: (r) => count(r.subscriptions) },
  { name: 'publications', kind: 'number', cell: (r) => count(r.publications) },
  { name: 'state', cell: (r) => <Name of={r.type} /> },
  { name: 'size', kind: 'number', cell: (r) => (r.type ? octets(r.size) : '–') },
  { name: 'shard', kind: 'number', cell: (r) => r.shard },
];

export function Resources() {
  return <Listing name="resources" columns={RESOURCE_COLUMNS} keyOf={(r) => `${r.resource} ${r.package}`}
    hint="Search a name; package:presence" empty="There is no such resource." onRow={(r) => { location.hash = writePlace('resource', r.resource); }} />;
}

export function Resource({ id }) {
  return (
    <>
      <div class="heading"><h1><Name of={id} /></h1><a class="button" href={writePlace('trace', id)}>What happened to it</a></div>
      <h2>Who watches</h2>
      <Subs key={`s${id}`} resource={id} />
      <h2>What is published</h2>
      <Pubs key={`p${id}`} resource={id} />
    </>
  );
}

// --- who does not answer ---------------------------------------------------------------------

function why(r) {
  if (r.health === 'parked') return `parked; tried again in ${duration(Math.ceil(r.retry_ms / 1000))}`;
  if (r.unanswered_ms) return `no answer for ${duration(Math.floor(r.unanswered_ms / 1000))}`;
  return `the last NOTIFY failed; the next in ${duration(Math.ceil(r.retry_ms / 1000))}`;
}

function byHop(rows) {
  const hops = new Map();
  for (const row of rows) {
    const key = `${row.transport} ${row.remote}`;
    hops.set(key, [...(hops.get(key) ?? []), row]);
  }
  return [...hops].sort(([, a], [, b]) => b.length - a.length);
}

const SICK_COLUMNS = [
  { name: 'watcher', cell: (r) => <a href={writePlace('sub', r.id)}><Name of={r.watcher} /></a> },
  { name: 'watches', cell: (r) => <ResourceLink of={r.resource} /> },
  { name: 'package', cell: (r) => <Name of={r.package} /> },
  { name: 'health', cell: (r) => <Health row={r} /> },
  { name: 'why', cell: why },
  { name: 'pause', kind: 'number', cell: (r) => (r.backoff_s ? duration(r.backoff_s) : '–') },
  expires,
];

export function Sick() {
  const { data, error } = usePoll((signal) => list('subs', { sick: true }, MOST, signal), 2000, []);
  const hops = byHop(data?.rows ?? []);
  return (
    <main>
      <p class="lead">Next hops that do not answer, and the subscriptions that go there: a NOTIFY is sent again until Timer F ends it, then after a pause that grows;
        a parked one has the newest state waiting.</p>
      <Problem error={error} />
      {data && !hops.length ? <p class="empty good">Everybody answers.</p> : null}
      {hops.map(([hop, rows]) => (
        <section key={hop} class="hop">
          <h2><span class="mono"><Name of={hop} /></span> <Chip tone="bad">{count(rows.length)} {rows.length === 1 ? 'subscription' : 'subscriptions'}</Chip></h2>
          <Table columns={SICK_COLUMNS} rows={rows.slice(0, 200)} keyOf={(r) => r.id} empty="" onRow={open} />
        </section>
      ))}
    </main>
  );
}

// --- who decided what ------------------------------------------------------------------------

const SEES = { all: ['good', 'all'], neutral: ['wait', 'the neutral state'], nothing: ['wait', 'nothing yet'], part: ['', 'a part'] };

function Sees({ of }) {
  const [tone, words] = SEES[of] ?? ['', of];
  return <Chip tone={tone}>{words}</Chip>;
}

const AUDIT_COLUMNS = [
  { name: 'when', kind: 'mono', cell: (r) => clock(r.at_ms, true) },
  { name: 'what', cell: (r) => r.what },
  { name: 'watcher', cell: (r) => <a href={writePlace('sub', r.id)}><Name of={r.watcher} /></a> },
  { name: 'known by', cell: (r) => r.proof || '–' },
  { name: 'watches', cell: (r) => <ResourceLink of={r.resource} /> },
  { name: 'package', cell: (r) => <Name of={r.package} /> },
  { name: 'state', cell: (r) => <State of={r.state} /> },
  { name: 'sees', cell: (r) => <Sees of={r.sees} /> },
  { name: 'decided by', cell: (r) => (r.rule ? `rule ${r.rule}` : 'the package or its owner') },
  { name: 'reason', cell: (r) => r.reason || '–' },
];

const RULE_COLUMNS = [
  { name: 'rule', kind: 'number', cell: (r) => r.id },
  { name: 'resource', cell: (r) => <Name of={r.resource} /> },
  { name: 'action', cell: (r) => <Chip tone={{ allow: 'good', block: 'bad', 'polite-block': 'wait' }[r.action] ?? ''}>{r.action}</Chip> },
  { name: 'watcher', cell: (r) => <Name of={r.watcher} /> },
  { name: 'package', cell: (r) => <Name of={r.package} /> },
  { name: 'times', kind: 'number', cell: (r) => count(r.hits ?? 0) },
];

export function Decisions() {
  const [text, setText] = useState('');
  const audit = usePoll((signal) => ask('audit', { limit: 500 }, signal), 3000, []);
  const rules = usePoll((signal) => ask('policy-list', {}, signal), 5000, []);
  return (
    <main>
      <div class="bar"><Search value={text} onValue={setText} hint="Search who, whom, a rule, a reason" /></div>
      <h2>Who saw what, and who decided</h2>
      <Problem error={audit.error} />
      {audit.data ? <Table columns={AUDIT_COLUMNS} rows={matching(audit.data.audit, text).slice(0, 200)} keyOf={(r) => `${r.at_ms} ${r.id} ${r.what}`}
        empty="Nothing of this kind is in the audit trail." /> : null}
      <h2>Rules</h2>
      <Problem error={rules.error} />
      {rules.data ? <Table columns={RULE_COLUMNS} rows={matching(rules.data.rules, text).slice(0, 500)} keyOf={(r) => `${r.id} ${r.shadow}`}
        empty="There is no such rule: owners see their own, packages have their defaults." /> : null}
    </main>
  );
}
