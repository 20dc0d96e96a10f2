// The entry of the compute worker. One classic script serves as the main worker
// and as a helper thread, because a sandboxed frame can start workers from one
// self-contained text only; the first message says which.

import { runHelper } from './helper';
import { runMain } from './main';
import type { Role } from './protocol';

self.onmessage = ({ data }: MessageEvent<Role>) => {
  self.onmessage = null;
  if (data.role === 'helper') runHelper(data.port);
  else void runMain(data.helpers, data.load);
};
