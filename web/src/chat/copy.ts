// A button that copies: it says when it has, and goes back to its own label.
// What is copied is asked for at the click, since it may still be growing.

import { announce } from './announce';
import { copyText } from './clipboard';
import { button, setText } from './dom';
import { S } from './strings';

const SAY_MS = 1600;

export function copyButton(
  label: string,
  text: () => string,
  attributes: Readonly<Record<string, string>> = {},
): HTMLButtonElement {
  const element = button(label, () => void run(), { class: 'quiet', ...attributes });
  async function run(): Promise<void> {
    const visible = element.querySelector('.label') ?? element;
    const said = (await copyText(text())) ? S.copied : S.copyFailed;
    announce(said);
    setText(visible, said);
    element.classList.add('is-said');
    setTimeout(() => {
      setText(visible, label);
      element.classList.remove('is-said');
    }, SAY_MS);
  }
  return element;
}
