// Makes elements. A dozen lines stand in for a framework: the chat builds each
// element once and then changes what changed. It knows nothing of the chat.

type Value = string | number | boolean | undefined | ((event: never) => void);

/** An element with attributes (`onclick` and the like are listeners; false and
 *  undefined are left out) and children (strings become text, never markup). */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, Value>> = {},
  ...children: readonly (Node | string | null)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value as EventListener);
    else if (value !== undefined && value !== false)
      element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** A button that says what it does. Never of type submit: the sandbox has no forms. */
export function button(
  label: string,
  onclick: (event: MouseEvent) => void,
  attributes: Readonly<Record<string, Value>> = {},
): HTMLButtonElement {
  return h('button', { type: 'button', ...attributes, onclick }, label);
}

/** A button that shows an icon, and its label too where there is room. */
export function iconButton(
  icon: SVGElement,
  label: string,
  onclick: () => void,
  attributes: Readonly<Record<string, Value>> = {},
): HTMLButtonElement {
  return h(
    'button',
    { type: 'button', title: label, ...attributes, onclick },
    icon,
    h('span', { class: 'label' }, label),
  );
}

/** Sets text only when it differs, so that screen readers and selections are left in peace. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}
