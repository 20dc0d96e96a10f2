// Fetches files that are data, and takes no page for one: a proxy whose login has
// run out, or a host that is starting, answers every address with a page and
// status 200. Says what to do where a server gives nothing. Knows nothing of what
// the data is.

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

/** What to do about an error of the server: `otherwise`, where it is none that a sign-in ends. */
export function whatToDo({ status, url }: Response, otherwise: string): string {
  if (status !== 401 && status !== 403) return otherwise;
  // To another site a page sends nobody's cookies, whoever has signed in there.
  return new URL(url).origin === self.location.origin
    ? 'the address needs a sign-in: open the site anew and sign in there, or ask whoever runs it'
    : 'the address needs a sign-in, which this page cannot give: serve the file from this page’s own site, or from an address that needs none';
}

/** Whether an answer calls itself a web page. */
export const isPage = (headers: Headers): boolean =>
  /^\s*(text\/html|application\/xhtml)/i.test(headers.get('content-type') ?? '');

function isOther({ headers, type }: Response, size: number | null): boolean {
  const length = headers.get('content-length');
  if (size === null || length === null) return isPage(headers);
  // Of a compressed answer the length says nothing; whether it is compressed, other origins do not tell.
  if (type !== 'basic' || headers.has('content-encoding')) return isPage(headers);
  return Number(length) !== size;
}
