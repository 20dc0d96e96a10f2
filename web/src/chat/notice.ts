// What the engine and the store have to say that is no error, in the words of
// the page: they give a code and its figures. Their own sentences are English,
// for those who make pages.

import type { BackendNotice } from '../api/backend';
import type { Notice } from '../api/notices';
import { apart, bytes, count, deviation, gigabytes } from './format';
import { S } from './strings';
import type { Strings } from './strings/shape';

export function sayAll(notices: readonly (Notice | BackendNotice)[]): string {
  return notices.map((notice) => say(notice)).join(' ');
}

/** `words` are the page's own, where no test asks for others. */
export function say(notice: Notice | BackendNotice, words: Strings = S): string {
  return isOfBackend(notice) ? sayBackend(notice, words) : sayOther(notice, words);
}

const isOfBackend = (notice: Notice | BackendNotice): notice is BackendNotice =>
  Object.hasOwn(S.gpuNotices, notice.code);

function sayBackend(notice: BackendNotice, words: Strings): string {
  const notices = words.gpuNotices;
  switch (notice.code) {
    case 'gpu_used':
    case 'gpu_software':
      return notices[notice.code](notice.device);
    case 'gpu_limit':
      return notices.gpu_limit(notice.limit, count(notice.needed), count(notice.available));
    case 'gpu_out_of_memory':
      return notices.gpu_out_of_memory(bytes(notice.needed), bytes(notice.given));
    case 'gpu_wrong': {
      const { check, error, bound } = notice;
      const name = words.checks[check];
      if (error === null || bound === null) return notices.gpu_wrong(name);
      return notices.gpu_wrong(`${name}, ${words.checkFigures(deviation(error), deviation(bound))}`);
    }
    case 'gpu_failed':
      return notices.gpu_failed(notice.error.replace(/\.?\s*$/, ''));
    case 'gpu_given_up':
      return notices.gpu_given_up(notice.losses, count(notice.losses));
    default:
      return notices[notice.code];
  }
}

function sayOther(notice: Notice, words: Strings): string {
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
