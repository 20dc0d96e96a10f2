// Which language the chat speaks: the site's where it has chosen one (the frame's
// document says so), else the first of the visitor's that there are words in,
// else English. Chosen once, before anything is drawn. It knows no words.

export const LANGUAGES = ['en', 'de', 'hi', 'ar'] as const;
export type Language = (typeof LANGUAGES)[number];

const RIGHT_TO_LEFT: readonly Language[] = ['ar'];

const siteLanguage = globalThis.document?.documentElement.lang ?? '';
const visitors = globalThis.navigator?.languages ?? [];

export const language = chooseLanguage(siteLanguage, visitors);

/** How numbers are written: as the visitor does in this language, with the region's digits and marks. */
export const locale = visitors.find((tag) => primary(tag) === language) ?? language;

export function chooseLanguage(site: string, visitor: readonly string[]): Language {
  for (const tag of [site, ...visitor]) {
    const found = LANGUAGES.find((known) => known === primary(tag));
    if (found !== undefined) return found;
  }
  return 'en';
}

/** Lets the document say its language and direction, which style sheets and screen readers follow. */
export function adoptLanguage(of: Language = language): void {
  const { documentElement: root } = document;
  root.lang = of;
  root.dir = RIGHT_TO_LEFT.includes(of) ? 'rtl' : 'ltr';
}

/** The words for a number, by the rules of a language; `C` are all the cases that it tells apart. */
export function pluralOf<C extends Intl.LDMLPluralRule>(
  of: Language,
): (n: number, words: Readonly<Record<C, string>>) => string {
  const rules = new Intl.PluralRules(of);
  return (n, words) => words[rules.select(n) as C];
}

function primary(tag: string): string {
  return tag.toLowerCase().split('-', 1)[0] ?? '';
}
