// Takes away from the frame what no policy of a page can forbid it. Must be the
// first import of the frame, before any other module can keep a reference.
//
// WebRTC, for browsers that do not enforce Connection-Allowlist. And links: a
// click with a modifier or the middle button opens a new tab even where a sandbox
// forbids popups, and a script could make up such a click. This chat has no links
// and dispatches no events, so it loses nothing. A script that got in here all the
// same must not find the functions again in the fresh globals of a nested frame,
// and not by changing a built-in that we call: so we call none by its name later.

const { apply, deleteProperty } = Reflect;
const { exec } = RegExp.prototype;
const { closest } = Element.prototype;
const { preventDefault } = Event.prototype;
const targetOf = getter(Event.prototype, 'target');
const localNameOf = getter(Element.prototype, 'localName');

/** Markup that makes a frame, in HTML, in XML, or in XML from an entity. */
const FRAME_MARKUP = /<(?:[^\s<>/]*:)?(?:i?frame|object|embed|fencedframe|portal)|<!entity/i;
/** Whatever a click may follow. */
const LINKS = 'a, area, [href], [usemap]';

interface TrustedTypes {
  createPolicy(
    name: 'default',
    rules: Record<'createHTML' | 'createScriptURL', (text: string) => string | null>,
  ): unknown;
}

for (const name of Object.getOwnPropertyNames(globalThis))
  if (/^(webkit|moz)?RTC/.test(name)) deleteProperty(globalThis, name);

// The frame's policy sends every text that is to become markup, or a worker, through here.
(globalThis as { trustedTypes?: TrustedTypes }).trustedTypes?.createPolicy('default', {
  createHTML: (text) => (apply(exec, FRAME_MARKUP, [text]) === null ? text : null),
  createScriptURL: (url) => (apply(exec, /^blob:/, [url]) === null ? null : url),
});

for (const name of ['createElement', 'createElementNS'] as const) {
  const create = Document.prototype[name] as (...args: unknown[]) => Element;
  const createNoFrame = function (this: Document, ...args: unknown[]): Element {
    const element = apply(create, this, args);
    switch (apply(localNameOf, element, [])) {
      case 'iframe':
      case 'frame':
      case 'object':
      case 'embed':
      case 'fencedframe':
      case 'portal':
        throw new TypeError('Expected an element that holds no document: this page is sealed.');
    }
    return element;
  };
  Object.defineProperty(Document.prototype, name, { value: createNoFrame });
}

take(globalThis, 'trustedTypes', 'XSLTProcessor');
take(EventTarget.prototype, 'dispatchEvent');
take(Document.prototype, 'open', 'write', 'writeln'); // markup in pieces, each harmless
take(DOMImplementation.prototype, 'createDocument');
take(CustomElementRegistry.prototype, 'define'); // makes frames without createElement
take(Element.prototype, 'attachShadow'); // would hide a link from `closest`

// What a person clicks, with whatever key: no other way has an event to follow a link.
for (const type of ['click', 'auxclick']) addEventListener(type, followNothing, true);

function followNothing(event: Event): void {
  const target = apply(targetOf, event, []) as Element;
  if (apply(closest, target, [LINKS]) !== null) apply(preventDefault, event, []);
}

function getter(prototype: object, name: string): () => unknown {
  return Object.getOwnPropertyDescriptor(prototype, name)!.get!;
}

function take(from: object, ...names: string[]): void {
  for (const name of names) deleteProperty(from, name);
}
