// Copies text. In an opaque frame navigator.clipboard rejects (permission
// policies do not name it), while execCommand on a selection works within a
// click; so that is tried first, although it is deprecated.

export async function copyText(text: string): Promise<boolean> {
  return copySelection(text) || (await copyByApi(text));
}

function copySelection(text: string): boolean {
  const focused = document.activeElement;
  // What lies outside an open modal dialog is inert and cannot be selected.
  const holder = document.querySelector('dialog[open]') ?? document.body;
  const field = document.createElement('textarea');
  field.value = text;
  field.setAttribute('aria-hidden', 'true');
  field.className = 'offscreen';
  holder.append(field);
  field.select();
  const copied = document.execCommand('copy');
  field.remove();
  if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
  return copied;
}

async function copyByApi(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // the caller says so
  }
}
