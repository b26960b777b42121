import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clip, count, duration, microseconds, octets, rate, shortName, visible } from '../src/text.js';

test('what cannot be seen, or turns the direction of writing, is shown by its number', () => {
  assert.equal(visible('a\u202Eb\u0000\u200b\r\n'), 'a‹U+202E›b‹U+0000›‹U+200B›‹U+000D›‹U+000A›');
  assert.equal(visible('<script>&"\' алиса 日本'), '<script>&"\' алиса 日本');
});

test('a long text is cut at a character, and says how long it is', () => {
  assert.equal(clip('short', 10), 'short');
  assert.equal(clip('x'.repeat(10000), 5), 'xxxxx… (10 000 characters)');
  assert.equal(clip('😀😀😀😀', 2), '😀😀… (8 characters)');
  assert.equal(clip('😀😀', 2), '😀😀');
});

test('numbers are written for people', () => {
  assert.deepEqual([0, 999, 1000, 1234567].map(count), ['0', '999', '1 000', '1 234 567']);
  assert.deepEqual([null, NaN, 0, 0.123, 12.34, 1234.5].map(rate), ['–', '–', '0', '0.12', '12.3', '1 235']);
  assert.deepEqual([0, 1023, 1536, 3 * 1024 * 1024].map(octets), ['0 B', '1023 B', '1.5 KiB', '3.0 MiB']);
  assert.deepEqual([null, 7, 1234, 45678, 345678, 2500000].map(microseconds), ['–', '7 µs', '1.23 ms', '45.7 ms', '346 ms', '2.50 s']);
  assert.deepEqual([0, 41, 60, 3700, 100000].map(duration), ['0 s', '41 s', '1 min', '1 h 1 min', '1 d 3 h']);
});

test('the scheme that all names begin with is left out', () => {
  assert.equal(shortName('sip:bob@example.test'), 'bob@example.test');
  assert.equal(shortName('tel:+1'), 'tel:+1');
});
