// A conversation that could not be opened again is not saved, and says so before anything
// large is read.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Conversation } from '../../../web/src/chat/conversation';
import { S } from '../../../web/src/chat/strings';
import { fromFile, toJson } from '../../../web/src/chat/transfer';

/** One question with pictures. */
function asking(...pictures: Blob[]): Conversation {
  const conversation = new Conversation();
  conversation.add(null, 'user', 'You', 'What?', pictures);
  return conversation;
}

/** That says its size, and fails when it is read. */
function moved(size: number): Blob {
  const blob = new Blob(['x'], { type: 'image/png' });
  Object.defineProperty(blob, 'size', { value: size });
  blob.arrayBuffer = () => Promise.reject(new DOMException('moved', 'NotReadableError'));
  return blob;
}

test('what is saved is opened again', async () => {
  const picture = new Blob([Uint8Array.from([1, 2, 3, 255])], { type: 'image/png' });
  const [turn] = fromFile(await toJson(asking(picture))).path();
  assert.equal(turn?.text, 'What?');
  assert.deepEqual(new Uint8Array(await turn!.pictures[0]!.arrayBuffer()), Uint8Array.from([1, 2, 3, 255]));
});

test('pictures that are too many for a file are not even read', async () => {
  const sentence = S.saveTooLong('150 MB', '10,000');
  await assert.rejects(toJson(asking(moved(80e6), moved(80e6))), { message: sentence });
});

test('more messages than are read again are not saved', async () => {
  const conversation = new Conversation();
  for (let i = 0; i < 10_000; i++) conversation.add(null, 'user', 'You', 'a');
  assert.equal(fromFile(await toJson(conversation)).roots.length, 10_000);
  conversation.add(null, 'user', 'You', 'a');
  await assert.rejects(toJson(conversation), /10,000 messages/);
});

test('what counts is the size of the file, whatever the script', async () => {
  const conversation = new Conversation();
  conversation.add(null, 'user', 'You', 'क'.repeat(50_000_001));
  await assert.rejects(toJson(conversation), /more than 150 MB/);
});

test('a picture whose file is gone is named', async () => {
  await assert.rejects(toJson(asking(moved(9))), { message: S.savePictureGone });
});
