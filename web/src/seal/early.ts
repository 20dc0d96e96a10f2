// The language of what is seen before the chat, where the site leaves it to the
// visitor: a page has the words of every language then, and its style sheet shows
// those of the document's. The chat will choose in the same way. A script of its
// own, since it runs before the first words are drawn, and shell.ts only after the
// frame, most of the page, has arrived.

import { adoptLanguage, chooseLanguage } from '../chat/language';

adoptLanguage(chooseLanguage('', navigator.languages));
