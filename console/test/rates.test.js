import assert from 'node:assert/strict';
import { test } from 'node:test';
import { History, ratesBetween } from '../src/rates.js';

const status = (uptime_s, notifies, more = {}) => ({
  pid: 7,
  uptime_us: uptime_s * 1e6,
  counters: { notifies, notifies_answered: notifies, notifies_failed: 0, notifies_resent: 0, requests: 2 * notifies, asks: 0 },
  methods: { PUBLISH: notifies },
  ...more,
});

test('a rate is what was counted over the time of the broker', () => {
  const rates = ratesBetween(status(10, 100), status(12, 150));
  assert.equal(rates.notifies, 25);
  assert.equal(rates.publishes, 25);
  assert.equal(rates.subscribes, 0);
});

test('over a start of the broker there is no rate', () => {
  assert.equal(ratesBetween(null, status(1, 1)), null);
  assert.equal(ratesBetween(status(10, 100), status(2, 3)), null);
  assert.equal(ratesBetween(status(10, 100), status(12, 150, { pid: 8 })), null);
  assert.equal(ratesBetween(status(10, 100), status(10, 100)), null);
  assert.equal(ratesBetween(status(10, 100), status(12, 50)), null);
});

test('a history drops the oldest, keeps its order, and has gaps', () => {
  const history = new History(['a', 'b'], 3);
  [1, 2, 3, 3, 4].forEach((at) => history.add(at, at === 2 ? null : { a: at, b: -at }));
  assert.deepEqual(history.data(), [[2, 3, 4], [null, 3, 4], [null, -3, -4]]);
  const before = history.data();
  history.add(5, { a: 5 });
  assert.deepEqual(before[0], [2, 3, 4]);
  assert.deepEqual(history.data()[2], [-3, -4, null]);
});
