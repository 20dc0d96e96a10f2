// Fetches files that are data, and takes no page for one: a proxy whose login has
// run out, or a host that is starting, answers every address with a page and
// status 200. Knows nothing of what the data is.

/** What fetch throws where there is no connection: the server proper was not reached. Worth another attempt. */
export class PageInsteadError extends TypeError {
  constructor(url: string) {
    super(`a web page in place of ${url}, as from a login or a start page; open the site anew, log in there`);
  }
}

/** As fetch, for a file of `size` bytes (null: unknown); rejects with PageInsteadError where a page came. */
export async function fetchData(
  url: string,
  init: RequestInit,
  size: number | null = null,
): Promise<Response> {
  const response = await fetch(url, init);
  // A part of a file has been agreed on by its range, and errors speak for themselves.
  if (response.status === 200 && isOther(response, size)) {
    await response.body?.cancel();
    throw new PageInsteadError(url);
  }
  return response;
}

function isOther({ headers, type }: Response, size: number | null): boolean {
  const isPage = /^\s*(text\/html|application\/xhtml)/i.test(headers.get('content-type') ?? '');
  const length = headers.get('content-length');
  if (size === null || length === null) return isPage;
  // Of a compressed answer the length says nothing; whether it is compressed, other origins do not tell.
  if (type !== 'basic' || headers.has('content-encoding')) return isPage;
  return Number(length) !== size;
}
