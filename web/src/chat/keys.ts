// Keyboard shortcuts of the whole page. A field handles its own keys first and
// stops those that it has used.

export interface KeyActions {
  readonly canStop: () => boolean;
  readonly stop: () => void;
  readonly retry: () => void;
  readonly newChat: () => void;
  readonly focusComposer: () => void;
  /** A drawer is open: its keys are its own. */
  readonly blocked: () => boolean;
}

export function listenToKeys(actions: KeyActions): void {
  document.addEventListener('keydown', (event) => {
    if (actions.blocked() || event.isComposing) return;
    if (handle(event, actions)) event.preventDefault();
  });
}

function handle(event: KeyboardEvent, actions: KeyActions): boolean {
  const { key, altKey, shiftKey } = event;
  const command = event.ctrlKey || event.metaKey;
  if (key === 'Escape') {
    if (!actions.canStop()) return false;
    actions.stop();
    return true;
  }
  if (command && shiftKey && !altKey) {
    if (key === 'Enter') actions.retry();
    else if (key.toLowerCase() === 'o') actions.newChat();
    else return false;
    return true;
  }
  if (key === '/' && !command && !altKey && !isField(event.target)) {
    actions.focusComposer();
    return true;
  }
  return false;
}

function isField(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches('input, textarea, select, [contenteditable]');
}
