// One subscription: how it stands, who decided, why it was told or not, and its ladder.
import { useState } from 'preact/hooks';
import { act, ask, isAdmin } from './api.js';
import { Ladder } from './ladder.jsx';
import { usePoll } from './poll.js';
import { clip, clock, duration } from './text.js';
import { Chip, Health, Name, Problem, ResourceLink, State } from './widgets.jsx';

function decidedBy(answer) {
  if (answer.rule) return `rule ${answer.rule}`;
  return { owner: 'he is the owner', 'deny-list': 'a deny list', package: 'the package’s default', rules: 'the rules', 'watched-package': 'his own entry, as he may watch' }[answer.by] ?? answer.by;
}

function Decided({ row, explained }) {
  const answer = explained?.answers?.find((a) => a.package === row.package);
  const sub = explained?.subscriptions?.find((s) => s.package === row.package && s.remote === row.remote) ?? explained?.subscriptions?.[0];
  return (
    <div class="panel">
      <h2>Who decided</h2>
      <dl>
        <dt>who</dt><dd><Name of={row.watcher} /></dd>
        <dt>known by</dt><dd>{row.proof}</dd>
        <dt>decision</dt><dd>{answer ? <Chip tone={answer.decision === 'allow' ? 'good' : 'wait'}>{answer.decision}</Chip> : '–'}</dd>
        <dt>by</dt><dd>{answer ? decidedBy(answer) : '–'}</dd>
      </dl>
      <h2>Why he was told, or was not</h2>
      <p class="sentence">{clip(sub?.sentence ?? explained?.sentence ?? 'Nothing is known of it.', 500)}</p>
      <ul class="evidence">
        {(sub?.evidence ?? []).map((e, i) => <li key={i}><time>{clock(e.at_us / 1000)}</time> <bdi>{clip(e.words, 200)}</bdi></li>)}
      </ul>
    </div>
  );
}

const ACTIONS = [['policy-allow', 'Allow'], ['policy-polite', 'Block politely'], ['policy-block', 'Block']];

/** What the administrator may do about it. */
function Actions({ row }) {
  const [asked, setAsked] = useState(null);
  const [said, setSaid] = useState('');
  if (!isAdmin()) return <p class="dim small">To change who may see what, enter the administrator’s token.</p>;
  const run = async ([call, words]) => {
    setAsked(null);
    try {
      const answer = await act(call, { resource: row.resource, watcher: row.watcher, package: row.package });
      setSaid(`${words}: done, rule ${answer.rule?.id ?? '?'}`);
    } catch (problem) {
      setSaid(`${words}: ${problem.message}`);
    }
  };
  return (
    <div class="actions">
      {asked ? (
        <>
          <span>{asked[1]} <Name of={row.watcher} most={40} /> at <Name of={row.resource} most={40} /> ({row.package})?</span>
          <button type="button" class="strong" onClick={() => run(asked)}>Yes</button>
          <button type="button" onClick={() => setAsked(null)}>No</button>
        </>
      ) : ACTIONS.map((a) => <button type="button" key={a[0]} onClick={() => setAsked(a)}>{a[1]}</button>)}
      <span class="dim" role="status">{clip(said, 200)}</span>
    </div>
  );
}

function Facts({ row }) {
  return (
    <div class="panel">
      <h2>The subscription</h2>
      <dl>
        <dt>state</dt><dd><State of={row.state} /> <Health row={row} /></dd>
        <dt>package</dt><dd><Name of={row.package} />{row.event_id ? <> ; id=<Name of={row.event_id} /></> : null}</dd>
        <dt>expires in</dt><dd>{duration(row.expires_s)}</dd>
        <dt>next hop</dt><dd class="mono">{row.transport} <Name of={row.remote} /></dd>
        <dt>target</dt><dd class="mono"><Name of={row.target} short={false} most={200} /></dd>
        <dt>Call-ID</dt><dd class="mono"><Name of={row.call_id} most={200} /></dd>
        <dt>shard, CSeq</dt><dd>{row.shard}, {row.cseq}</dd>
        {row.backoff_s ? <><dt>pause</dt><dd>{duration(row.backoff_s)}, the next NOTIFY in {duration(Math.ceil(row.retry_ms / 1000))}</dd></> : null}
      </dl>
      <Actions row={row} />
    </div>
  );
}

async function question(id, signal) {
  const { subs } = await ask('subs', { sub: id }, signal);
  const row = subs[0];
  if (!row) return { row: null };
  const explained = await ask('explain', { watcher: row.watcher, resource: row.resource, package: row.package }, signal).catch(() => null);
  return { row, explained };
}

export function Sub({ id }) {
  const { data, error } = usePoll((signal) => question(id, signal), 2000, [id]);
  const row = data?.row;
  return (
    <main>
      <Problem error={error} />
      {row ? <div class="heading"><h1><Name of={row.watcher} most={60} /> <span class="dim">watches</span> <ResourceLink of={row.resource} /></h1></div> : null}
      {row ? <section class="panels"><Facts row={row} /><Decided row={row} explained={data.explained} /></section> : null}
      {data && !row ? <p class="empty">There is no such subscription any more. What was recorded of it:</p> : null}
      <Ladder about={id} />
    </main>
  );
}

export function Trace({ id }) {
  return (
    <main>
      <div class="heading"><h1><span class="dim">What happened to</span> <Name of={id} /></h1></div>
      <Ladder about={id} />
    </main>
  );
}
