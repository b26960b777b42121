import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matching, readPlace, readSearch, writePlace } from '../src/query.js';

test('words of a search become the keys of a listing', () => {
  assert.deepEqual(readSearch(''), {});
  assert.deepEqual(readSearch('  bob  '), { find: 'bob' });
  assert.deepEqual(readSearch('package:presence is:sick bob smith'), { package: 'presence', sick: true, find: 'bob smith' });
  assert.deepEqual(readSearch('resource:sip:a@b'), { resource: 'sip:a@b' });
  assert.deepEqual(readSearch('package: other:x'), { find: 'package: other:x' });
});

test('the place behind the # goes there and back, whatever stands in it', () => {
  for (const id of ['ab12', 'sip:a/b?c#d%@x', '<script>', '‮'])
    assert.deepEqual(readPlace(writePlace('resource', id, { q: 'a&b' })), { view: 'resource', id, q: 'a&b' });
  assert.deepEqual(readPlace(''), { view: 'overview', id: '' });
  assert.deepEqual(readPlace('#/sub/%zz?view=x'), { view: 'sub', id: '%zz' });
});

test('rows are found by any of their values', () => {
  const rows = [{ who: 'Bob', n: 1 }, { who: 'alice', n: 22 }];
  assert.deepEqual(matching(rows, 'BO'), [rows[0]]);
  assert.deepEqual(matching(rows, '22'), [rows[1]]);
  assert.deepEqual(matching(rows, ' '), rows);
  assert.deepEqual(matching(rows, 'x'), []);
});
