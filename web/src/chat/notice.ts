// What the engine and the store have to say that is no error, in the words of
// the page: they give a code and its figures. Their own sentences are English,
// for those who make pages.

import type { Notice } from '../api/notices';
import { apart, bytes, count, gigabytes } from './format';
import { S } from './strings';
import type { Strings } from './strings/shape';

export function sayAll(notices: readonly Notice[]): string {
  return notices.map((notice) => say(notice)).join(' ');
}

/** `words` are the page's own, where no test asks for others. */
export function say(notice: Notice, words: Strings = S): string {
  const notices = words.notices;
  switch (notice.code) {
    case 'variant_asked':
      return notices.variant_asked(notice.variant);
    case 'threads':
      return notices.threads(notice.threads, count(notice.cores));
    case 'few_addresses':
      return notices.few_addresses(bytes(notice.bytes));
    case 'context_by_browser':
    case 'context_by_device': {
      const tokens = [count(notice.n_ctx), count(notice.wanted)] as const;
      const memory = apart(notice.needed, notice.available);
      if (notice.code === 'context_by_browser') return notices.context_by_browser(...tokens, ...memory);
      return notices.context_by_device(...tokens, ...memory, gigabytes(notice.device_memory));
    }
    case 'not_stored':
      return notices.not_stored(notice.error);
    case 'storage_full': {
      const { size, usage, quota } = notice;
      const figures: string[] = [];
      if (size !== null) figures.push(words.storageNeeds(bytes(size)));
      if (usage !== null && quota !== null) figures.push(words.storageUsed(bytes(usage), bytes(quota)));
      return [notices.storage_full, ...figures].join(' ');
    }
    default:
      return notices[notice.code];
  }
}
