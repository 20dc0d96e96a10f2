// What the service worker is told: by sw.js, which whoever serves the page
// writes for it, and by the page. Types only.

export interface SiteFile {
  /** Relative to the site's folder; "" is the page. */
  readonly path: string;
  readonly type: string;
  /** As in the integrity attribute: "sha256-" and base64. */
  readonly integrity: string;
}

/** One version of the page: every file of it, and the headers that seal it. */
export interface Site {
  readonly version: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly files: readonly SiteFile[];
}

/** From a page that has just begun, with a port: may the waiting version take over? The answer is a boolean. */
export const TAKE_OVER = 'take over';
