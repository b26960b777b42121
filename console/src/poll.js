// Asks again and again while somebody looks; a broker that does not answer is asked more slowly.
import { useEffect, useRef, useState } from 'preact/hooks';

const SLOWEST_MS = 5000;

/** {data, error}: the newest answer, and the error when the last question had none.  deps: what the question depends on. */
export function usePoll(question, everyMs, deps) {
  const [state, setState] = useState({ data: null, error: null });
  const latest = useRef(question);
  latest.current = question;
  useEffect(() => {
    const abort = new AbortController();
    let timer = 0;
    let pause = everyMs;
    const once = async () => {
      if (document.hidden) {
        timer = setTimeout(once, everyMs);
        return;
      }
      try {
        const data = await latest.current(abort.signal);
        pause = everyMs;
        if (!abort.signal.aborted) setState({ data, error: null });
      } catch (error) {
        if (abort.signal.aborted) return;
        pause = Math.min(pause * 1.5, Math.max(SLOWEST_MS, everyMs));
        setState((old) => ({ data: old.data, error }));
      }
      if (!abort.signal.aborted) timer = setTimeout(once, pause);
    };
    setState({ data: null, error: null });
    once();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, deps);
  return state;
}
