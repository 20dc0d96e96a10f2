// Why a model is not kept on the device, in one English sentence: for developers,
// and for pages that have no words of their own. It knows the notice alone.

import type { StorageNotice } from '../api/notices';
import { formatBytes } from '../core/units';

/** `so`: what that leads to, as in "was not fetched". */
export function whyNotKept(notice: StorageNotice, so: string): string {
  switch (notice.code) {
    case 'keeps_no_files':
      return `This browser keeps no files for this page (a private window?), so the model ${so}.`;
    case 'not_stored':
      return `This browser could not store the model (${notice.error}), so it ${so}.`;
    case 'storage_full': {
      const { size, usage, quota } = notice;
      const numbers =
        usage === null || quota === null ? '' : ` (${formatBytes(usage)} in use of ${formatBytes(quota)})`;
      const needed = size === null ? 'more storage' : `${formatBytes(size)} of storage, more`;
      return `The model needs ${needed} than this browser gives this site${numbers}, so it ${so}; free some space to keep it.`;
    }
  }
}
