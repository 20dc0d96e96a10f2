// The one error class. It knows codes and sentences, nothing of what failed:
// callers that branch look at `code`, people read `message`. `toWire` and
// `fromWire` carry it through postMessage, which would lose the code.

import type { ContextFullDetails, NetworkDetails, SlmErrorCode, TooLargeDetails } from '../api/types';

/** The numbers of a context_full, a too_large or a network error. */
export type ErrorDetails = ContextFullDetails | TooLargeDetails | NetworkDetails;

/** Whether a server may answer otherwise in a while; null is no answer at all. */
export const isPassing = (http_status: number | null): boolean =>
  http_status === null || http_status >= 500 || http_status === 429 || http_status === 408;

export interface WireError {
  readonly code: SlmErrorCode;
  readonly message: string;
  readonly details?: ErrorDetails;
}

export class SlmError extends Error {
  override readonly name = 'SlmError';
  readonly code: SlmErrorCode;
  readonly details: ErrorDetails | undefined;

  constructor(
    code: SlmErrorCode,
    message: string,
    options: { details?: ErrorDetails; cause?: unknown } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.details = options.details;
  }

  toWire(): WireError {
    const { code, message, details } = this;
    return details === undefined ? { code, message } : { code, message, details };
  }

  static fromWire(wire: WireError): SlmError {
    return new SlmError(wire.code, wire.message, wire.details === undefined ? {} : { details: wire.details });
  }
}
