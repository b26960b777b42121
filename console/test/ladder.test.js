import assert from 'node:assert/strict';
import { test } from 'node:test';
import { columnsOf, layout, mergeEvents, readMessage } from '../src/ladder.js';

const subject = (flow, kind, who, more = {}) => ({ kind: 'subject', subject: kind, flow, call: `c${flow}`, who, words: `${who} ${kind}`, at_us: 1000, shard: 0, ...more });
const message = (flow, direction, remote, text, at_us = 2000) => ({ kind: 'message', flow, direction, remote, local: 'l', message: text, at_us, shard: 0 });

test('a request, an answer, and what is neither', () => {
  const request = readMessage({ message: 'NOTIFY sip:a@b SIP/2.0\r\nCSeq: 7 NOTIFY\r\nX: 1\r\nX: 2\r\n\r\nbody\r\n\r\nmore' });
  assert.deepEqual([request.label, request.method, request.target, request.fields.x, request.body], ['NOTIFY', 'NOTIFY', 'sip:a@b', '1', 'body\r\n\r\nmore']);
  const answer = readMessage({ message: 'SIP/2.0 481 <b>gone</b>\r\nCSeq: 7 NOTIFY\r\n\r\n' });
  assert.deepEqual([answer.label, answer.status, answer.fields.cseq, answer.body], ['481 <b>gone</b>', 481, '7 NOTIFY', '']);
  assert.equal(readMessage({ message: 'rubbish' }).label, 'rubbish');
  assert.equal(readMessage({ message_hex: '00' }).label, '(not text)');
  assert.equal(readMessage({ message: 'A b SIP/2.0\r\n__proto__: x\r\n\r\n' }).label, 'A');
});

test('who subscribes stands on the left, who publishes on the right', () => {
  const events = [subject('1', 'subscription', 'sip:bob@x'), subject('2', 'publication', 'sip:alice@x'),
    message('c1', 'in', '10.0.0.1:5060', 'SUBSCRIBE sip:a SIP/2.0\r\n\r\n'), message('c2', 'in', '10.0.0.2:5060', 'PUBLISH sip:a SIP/2.0\r\n\r\n'),
    message('1', 'out', '10.0.0.1:5060', 'NOTIFY sip:b SIP/2.0\r\nSubscription-State: active;expires=60\r\nCSeq: 2 NOTIFY\r\n\r\n')];
  const { columns, rows, broker } = layout(events);
  assert.deepEqual(columns.map((c) => c.name), ['sip:bob@x', 'herald', 'sip:alice@x']);
  assert.equal(broker, 1);
  assert.deepEqual(rows.filter((r) => r.kind === 'message').map((r) => [r.from, r.to, r.label]), [[0, 1, 'SUBSCRIBE'], [2, 1, 'PUBLISH'], [1, 0, 'NOTIFY']]);
  assert.equal(rows.at(-1).note, 'active;expires=60 · CSeq 2');
});

test('what there is now is no step', () => {
  assert.deepEqual(layout([subject('1', 'subscription', 'sip:bob@x', { now: true })]).rows, []);
});

test('too many addresses share a column, and nobody is lost', () => {
  const events = [];
  for (let i = 0; i < 40; i++) {
    events.push(subject(String(i), i % 2 ? 'publication' : 'subscription', `sip:u${i}@x`));
    events.push(message(String(i), 'in', `10.0.0.${i}:1`, 'X sip:a SIP/2.0\r\n\r\n'));
  }
  const { columns, at, broker } = columnsOf(events);
  assert.ok(columns.length <= 7);
  for (let i = 0; i < 40; i++) {
    const place = at.get(`10.0.0.${i}:1`);
    assert.ok(i % 2 ? place > broker : place < broker, `${i} at ${place}`);
  }
});

test('decisions have a tone: what failed, what waits', () => {
  const tones = ['timeout', 'hold', 'accept'].map((what) => ({ kind: 'decision', what, words: what, flow: '1', at_us: 1, shard: 0 }));
  assert.deepEqual(layout(tones).rows.map((r) => r.tone), ['bad', 'wait', '']);
});

test('what is told twice is there once, and the oldest goes', () => {
  const all = Array.from({ length: 5 }, (_, i) => message('1', 'out', 'r', `N${i} sip:a SIP/2.0`, i));
  assert.deepEqual(mergeEvents(all.slice(0, 3), all.slice(1), 10), all);
  assert.deepEqual(mergeEvents(all.slice(0, 3), all.slice(1), 2), all.slice(3));
});
