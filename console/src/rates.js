// Rates from counters that only grow, and their history.  Pure: the time is the broker's own, in microseconds since its start.

const PICKS = {
  notifies: (s) => s.counters.notifies,
  answered: (s) => s.counters.notifies_answered,
  failed: (s) => s.counters.notifies_failed,
  resent: (s) => s.counters.notifies_resent,
  requests: (s) => s.counters.requests,
  publishes: (s) => (s.methods.PUBLISH ?? 0) + (s.counters.asks ?? 0),
  subscribes: (s) => s.methods.SUBSCRIBE ?? 0,
};

/** How much each grew per second between two answers of `status`; null: the broker was started again meanwhile, or it is the same one. */
export function ratesBetween(before, after) {
  if (!before || after.pid !== before.pid || after.uptime_us <= before.uptime_us) return null;
  const seconds = (after.uptime_us - before.uptime_us) / 1e6;
  const rates = {};
  for (const [name, pick] of Object.entries(PICKS)) {
    const grown = pick(after) - pick(before);
    if (!(grown >= 0)) return null;
    rates[name] = grown / seconds;
  }
  return rates;
}

/** Points of several lines over one time, the oldest dropped; a missing value is a gap. */
export class History {
  constructor(names, most) {
    this.names = names;
    this.most = most;
    this.columns = [[], ...names.map(() => [])];
  }

  add(at, values) {
    const times = this.columns[0];
    if (times.length && at <= times[times.length - 1]) return;
    times.push(at);
    this.names.forEach((name, i) => this.columns[i + 1].push(values?.[name] ?? null));
    if (times.length > this.most) this.columns.forEach((column) => column.shift());
  }

  /** For a chart: arrays that do not change any more. */
  data() {
    return this.columns.map((column) => column.slice());
  }
}
