import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeBase64url, parseObject } from '../src/json.js';

const parse = (text) => parseObject(Buffer.from(text));

test('JSON that every program reads alike', () => {
  const text = '{"a":{"b":[1,{"b":2},"x\\"y{[,:"]},"b":null,"\\u0063":"\\ud83d\\ude00","A":1}';
  assert.deepEqual(parse(text), JSON.parse(text));
});

test('JSON that is refused, without quoting it', () => {
  for (const text of [
    '{"sub":"a","sub":"b"}', '{"sub":"a","\\u0073ub":"b"}', '{"x":{"y":[{"z":1,"z":2}]}}', '{"x":[],"x":1}',
    '{"hunter2":"\\ud800"}', '{"hunter2"', '{"hunter2":1} x', '[]', 'null', '"hunter2"', '\ufeff{}', '',
  ]) {
    assert.throws(() => parse(text), (error) => !error.message.includes('hunter2'), text);
  }
  assert.throws(() => parseObject(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])));
});

test('base64url in one spelling', () => {
  assert.equal(decodeBase64url('aGk').toString(), 'hi');
  for (const text of ['aGk=', 'aGl', 'a', 'a+/b', 'aG k', 'aGk\n']) {
    assert.throws(() => decodeBase64url(text), undefined, text);
  }
});
