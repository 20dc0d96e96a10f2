// Takes away from the frame what no policy of a page can forbid it. Must be the
// first import of the frame, before any other module can keep a reference.
//
// WebRTC, for browsers that do not enforce Connection-Allowlist. And links: what a
// person presses with Ctrl, Shift or the middle button opens in a new tab although
// the sandbox allows no popups, at this site's own server even where there is a
// Connection-Allowlist. The chat has no links; a script that got in here all the
// same could put one under the pointer. It finds the built-ins changed as it likes,
// so those that run later are kept here, and what would hide a link is removed.

const { apply, deleteProperty } = Reflect;
const { closest, remove } = Element.prototype;
const { preventDefault } = Event.prototype;
const queryDocument = Document.prototype.querySelector;
const targetOf = getter(Event.prototype, 'target');
const nodeTypeOf = getter(Node.prototype, 'nodeType');
const framesIn = getter(globalThis, 'length');

const ELEMENT = 1;
/** Whatever a press may follow, an image map's areas included. */
const LINKS = 'a, area, [href], [usemap]';
const FRAMES = 'iframe, frame, object, embed, fencedframe';

take(globalThis, /^(webkit|moz)?RTC/);
take(EventTarget.prototype, /^dispatchEvent$/); // presses that a script makes up, in no document even
take(Element.prototype, /^attachShadow$|HTMLUnsafe/);
take(Document, /HTMLUnsafe/);
take(Document.prototype, /^(open|write|writeln)$/); // would remove the listeners, too

// As early as can be, and before any listener of somebody else.
for (const type of ['click', 'auxclick', 'contextmenu', 'dragstart'])
  addEventListener(type, followNothing, true);

// A nested document would have no such listeners: it is gone before a person can press anything in it.
new MutationObserver(removeFrames).observe(document, { childList: true, subtree: true });

function followNothing(event: Event): void {
  const target = apply(targetOf, event, []) as Element;
  if (apply(nodeTypeOf, target, []) !== ELEMENT) return; // the text that is dragged, the document
  if (apply(closest, target, [LINKS]) !== null) apply(preventDefault, event, []);
}

function removeFrames(): void {
  if (apply(framesIn, globalThis, []) === 0) return;
  for (;;) {
    const frame = apply(queryDocument, document, [FRAMES]);
    if (frame === null) return;
    apply(remove, frame, []);
  }
}

function getter(of: object, name: string): () => unknown {
  return Object.getOwnPropertyDescriptor(of, name)!.get!;
}

function take(from: object, names: RegExp): void {
  for (const name of Object.getOwnPropertyNames(from)) if (names.test(name)) deleteProperty(from, name);
}
