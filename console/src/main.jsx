// The console: a bar, and the view that the page's address names.
import { render } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { ask, forgetToken, hasToken, isAdmin, takeToken } from './api.js';
import { Sub, Trace } from './detail.jsx';
import { Decisions, Pubs, Resource, Resources, Sick, Subs } from './lists.jsx';
import { Overview } from './overview.jsx';
import { usePoll } from './poll.js';
import { readPlace } from './query.js';
import { History, ratesBetween } from './rates.js';
import { clip, count } from './text.js';
import { Problem } from './widgets.jsx';
import './console.css';

const MINUTES = 10;
const VIEWS = [['overview', 'Overview'], ['subs', 'Subscriptions'], ['pubs', 'Publications'], ['resources', 'Resources'], ['sick', 'Sick'], ['decisions', 'Decisions']];
const UNDER = { sub: 'subs', resource: 'resources', trace: 'resources' };

function usePlace() {
  const [place, setPlace] = useState(readPlace(location.hash));
  useEffect(() => {
    const moved = () => {
      setPlace(readPlace(location.hash));
      scrollTo(0, 0);
    };
    addEventListener('hashchange', moved);
    return () => removeEventListener('hashchange', moved);
  }, []);
  return place;
}

/** Status and latency once a second, and what they were in the last minutes. */
function useFigures(key) {
  const kept = useRef({ status: null, rates: null, history: new History(['notifies', 'publishes', 'subscribes'], MINUTES * 60),
    latencies: new History(['p50', 'p99', 'answer'], MINUTES * 60) });
  return usePoll(async (signal) => {
    const k = kept.current;
    const [status, latency] = await Promise.all([ask('status', { brief: true }, signal), ask('latency', {}, signal)]);
    const at = Date.now() / 1000;
    k.rates = ratesBetween(k.status, status);
    if (k.status) k.history.add(at, k.rates);
    k.latencies.add(at, { p50: latency.notify.p50_us, p99: latency.notify.p99_us, answer: latency.answer.p99_us });
    k.status = status;
    return { status, latency, rates: k.rates, history: k.history.data(), latencies: k.latencies.data() };
  }, 1000, [key]);
}

function TokenForm({ onDone }) {
  const [text, setText] = useState('');
  const [problem, setProblem] = useState('');
  const submit = async (e) => {
    e.preventDefault();
    try {
      await takeToken(text);
      onDone();
    } catch (refused) {
      setProblem(refused.status ? refused.message : 'The broker does not answer.');
    }
  };
  return (
    <form class="token" onSubmit={submit}>
      <label>Token <input type="password" value={text} autocomplete="off" spellcheck={false} onInput={(e) => setText(e.currentTarget.value)} /></label>
      <button type="submit" class="strong">Use</button>
      <span class="dim">{problem ? clip(problem, 200) : 'herald token add NAME --scope admin; it is kept until the page is left'}</span>
    </form>
  );
}

function Bar({ view, figures, role, onRole }) {
  const [asks, setAsks] = useState(false);
  const { data, error } = figures;
  const down = error && !error.status;
  const link = down ? ['bad', 'no answer'] : error ? ['wait', 'no right'] : data ? ['good', 'live'] : ['', 'asking'];
  const forget = () => {
    forgetToken();
    onRole();
  };
  return (
    <header>
      <div class="top">
        <a class="brand" href="#/"><img src="/icon.svg" alt="" width="20" height="20" /> herald</a>
        <nav>
          {VIEWS.map(([name, words]) => (
            <a key={name} href={`#/${name}`} class={view === name ? 'here' : ''} aria-current={view === name ? 'page' : undefined}>
              {words}{name === 'sick' && data?.status.gauges.parked ? <span class="badge">{count(data.status.gauges.parked)}</span> : null}
            </a>
          ))}
        </nav>
        <span class="link-state" role="status"><i class={`lamp ${link[0]}`} />{link[1]}</span>
        <button type="button" class="role" onClick={() => (hasToken() ? forget() : setAsks(!asks))} title={hasToken() ? 'forget the token' : 'enter a token'}>{role}</button>
      </div>
      {asks && !hasToken() ? <TokenForm onDone={() => { setAsks(false); onRole(); }} /> : null}
    </header>
  );
}

function View({ place, figures }) {
  switch (place.view) {
    case 'subs': return <Subs />;
    case 'pubs': return <Pubs />;
    case 'resources': return <Resources />;
    case 'resource': return <Resource id={place.id} key={place.id} />;
    case 'sick': return <Sick />;
    case 'decisions': return <Decisions />;
    case 'sub': return <Sub id={place.id} key={place.id} />;
    case 'trace': return <Trace id={place.id} key={place.id} />;
    default: return figures.data ? <Overview {...figures.data} /> : null;
  }
}

function Console() {
  const place = usePlace();
  const [changes, setChanges] = useState(0); // of the token
  const figures = useFigures(changes);
  const refused = figures.error?.status === 401 || figures.error?.status === 403;
  const role = isAdmin() ? 'administrator' : 'read only';
  return (
    <>
      <Bar view={UNDER[place.view] ?? place.view} figures={figures} role={role} onRole={() => setChanges(changes + 1)} />
      {figures.error && !refused ? <Problem error={figures.error} /> : null}
      {refused ? (
        <main class="door">
          <h1>Who may look?</h1>
          <p>From here the console needs a token: one with the right <code>look</code> shows it, one with <code>admin</code> changes things as well.</p>
          <pre>herald token add NAME --scope look</pre>
          <TokenForm onDone={() => setChanges(changes + 1)} />
        </main>
      ) : <View place={place} figures={figures} key={`${changes}`} />}
    </>
  );
}

const app = document.getElementById('app');
app.replaceChildren();
render(<Console />, app);
