// What goes on now: rates, latency, and where notifications wait.
import { Chart } from './chart.jsx';
import { count, duration, microseconds, rate } from './text.js';
import { Table, Tile } from './widgets.jsx';

const RATE_LINES = [
  { name: 'NOTIFY', colour: '--blue' },
  { name: 'PUBLISH', colour: '--green' },
  { name: 'SUBSCRIBE', colour: '--amber' },
];
const LATENCY_LINES = [
  { name: 'PUBLISH → NOTIFY p50', colour: '--blue' },
  { name: 'p99', colour: '--violet' },
  { name: 'answer p99', colour: '--amber' },
];

function Latency({ latency }) {
  const rows = latency ? [
    ['a PUBLISH until its NOTIFYs leave', latency.notify],
    ['a request until it is answered, kept', latency.request],
    ['a NOTIFY until its subscriber answers', latency.answer],
  ] : [];
  const of = (name, key) => ({ name, kind: 'number', cell: ([, figures]) => (figures.n ? microseconds(figures[key]) : '–') });
  return (
    <Table rows={rows} keyOf={([name]) => name} empty="Nothing was measured yet."
      columns={[{ name: 'time of', cell: ([name]) => name }, of('p50', 'p50_us'), of('p90', 'p90_us'), of('p99', 'p99_us'), of('most', 'most_us'),
        { name: 'of', kind: 'number', cell: ([, figures]) => count(figures.n) }]} />
  );
}

function Waiting({ counters }) {
  const rows = [
    ['the pace of their package', counters.held_by_pace],
    ['a subscriber’s own rate', counters.held_by_rate],
    ['the window of their next hop', counters.held_by_window],
    ['an address that has not proven itself', counters.held_unproven],
    ['the name of their next hop', counters.held_by_name],
    ['sent again, no answer yet', counters.notifies_resent],
    ['given up or refused', counters.notifies_failed],
  ];
  return <Table rows={rows} keyOf={([name]) => name} empty=""
    columns={[{ name: 'NOTIFYs held back by', cell: ([name]) => name }, { name: 'since the start', kind: 'number', cell: ([, n]) => count(n ?? 0) }]} />;
}

function Answers({ statuses }) {
  const rows = Object.entries(statuses).sort(([, a], [, b]) => b - a).slice(0, 8);
  return <Table rows={rows} keyOf={([code]) => code} empty="No request was answered yet."
    columns={[{ name: 'answered with', cell: ([code]) => code }, { name: 'requests', kind: 'number', cell: ([, n]) => count(n) }]} />;
}

function Broker({ status }) {
  const store = status.store ?? {};
  const rows = [
    ['domains', (status.domains ?? []).join(', ') || 'any address that it listens on'],
    ['listens on', (status.listeners ?? []).map((l) => `${l.transport} ${l.address}`).join(', ')],
    ['shards', status.shards],
    ['users, rules', `${count(status.users)}, ${count(status.rules)}`],
    ['store', store.healthy === false ? `not healthy: ${store.problem}` : `${store.durability}${store.commits ? `, ${microseconds(store.commit_us_mean)} a commit` : ''}`],
  ];
  return <Table rows={rows} keyOf={([name]) => name} empty=""
    columns={[{ name: 'the broker', cell: ([name]) => name }, { name: '', cell: ([, value]) => value }]} />;
}

export function Overview({ status, rates, history, latency, latencies }) {
  const g = status.gauges;
  const sick = g.parked;
  return (
    <main>
      <section class="tiles">
        <Tile name="NOTIFY" value={rate(rates?.notifies)} unit="/s" note={`${rate(rates?.answered)} answered`} />
        <Tile name="PUBLISH" value={rate(rates?.publishes)} unit="/s" note={`${count(g.publications)} live`} href="#/pubs" />
        <Tile name="SUBSCRIBE" value={rate(rates?.subscribes)} unit="/s" note={`${rate(rates?.requests)} requests`} />
        <Tile name="latency" value={latency?.notify.n ? microseconds(latency.notify.p50_us) : '–'}
          note={latency?.notify.n ? `p99 ${microseconds(latency.notify.p99_us)}` : 'no NOTIFY lately'} />
        <Tile name="subscriptions" value={count(g.subscriptions)} note={`${count(g.in_flight)} in flight`} href="#/subs" />
        <Tile name="resources" value={count(g.resources)} note={`${count(g.bindings)} registered`} href="#/resources" />
        <Tile name="parked" value={count(sick)} tone={sick ? 'bad' : ''} note={sick ? 'do not answer' : 'all answer'} href="#/sick" />
        <Tile name="up" value={duration(status.uptime_s)} note={`version ${status.version}`} />
      </section>
      <section class="charts">
        <div class="panel">
          <h2>Requests per second</h2>
          <Chart lines={RATE_LINES} data={history} format={rate} />
        </div>
        <div class="panel">
          <h2>Latency</h2>
          <Chart lines={LATENCY_LINES} data={latencies} format={microseconds} />
        </div>
      </section>
      <section class="panels">
        <div class="panel wide"><Latency latency={latency} /></div>
        <div class="panel"><Broker status={status} /></div>
        <div class="panel"><Waiting counters={status.counters} /></div>
        <div class="panel"><Answers statuses={status.statuses} /></div>
      </section>
    </main>
  );
}
