// The public face of the web part: `import { SLM } from 'slmweb'`.

export { SLM } from './api/load';
export type * from './api/types';
export { SlmError } from './core/error';
