// Files that come into the chat and go out of it: a conversation to be saved or
// gone on with, or texts for the question. What is in them, transfer.ts and
// textfile.ts know; what becomes of them, the caller.

import type { Conversation } from './conversation';
import { saveFile } from './save';
import { readFiles, readTextFile } from './textfile';
import { fromFile, isSaved, MAX_BYTES, toJson, toMarkdown } from './transfer';

/** Throws an Error whose message is a sentence. */
export async function saveConversation(conversation: Conversation, kind: 'md' | 'json'): Promise<void> {
  const day = new Date().toISOString().slice(0, 10);
  if (kind === 'md') saveFile(`chat-${day}.md`, 'text/markdown', toMarkdown(conversation));
  else saveFile(`chat-${day}.json`, 'application/json', await toJson(conversation));
}

/** The conversation in a file. Throws an Error whose message is a sentence. */
export async function openConversation(file: File): Promise<Conversation> {
  return fromFile(await readTextFile(file, MAX_BYTES));
}

/** What was dropped or pasted: a conversation that was saved here, else text for the question.
 *  Throws an Error whose message is a sentence. */
export async function takeFiles(files: readonly File[]): Promise<Conversation | string> {
  const [only] = files;
  if (files.length === 1 && only?.name.endsWith('.json')) {
    const text = await readTextFile(only, MAX_BYTES);
    if (isSaved(text)) return fromFile(text);
  }
  return readFiles(files);
}
