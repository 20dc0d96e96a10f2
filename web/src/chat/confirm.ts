// Buttons that ask before they do what cannot be undone. The first press turns
// the button into its question, the second does it; Escape, or going elsewhere,
// takes the question back. It outlives a drawer that is drawn anew meanwhile. What
// is done, the caller knows.

import { announce } from './announce';
import { button, setText } from './dom';
import { S } from './strings';

export interface Question {
  /** Tells the buttons of one page apart. */
  readonly key: string;
  readonly label: string;
  /** What screen readers call it. */
  readonly name: string;
  /** What the question is about, for those who do not see where it stands. */
  readonly subject: string;
  readonly question: string;
  readonly run: () => void;
}

export class Confirm {
  /** The key of the button that waits for its second press. */
  private asked: string | null = null;

  button({ key, label, name, subject, question, run }: Question): HTMLButtonElement {
    const said = S.said(subject, question);
    const element = button(
      label,
      ({ detail }) => {
        if (this.asked !== key) return ask();
        if (detail > 1) return; // a double click is one decision
        set(null);
        run();
      },
      {
        class: 'quiet',
        'data-action': key,
        onblur: () =>
          // Later: a drawer that is drawn anew takes the button away, nobody has left it.
          queueMicrotask(() => {
            if (!element.isConnected) return;
            if (this.asked === key) this.asked = null;
            show();
          }),
        onkeydown: (event: KeyboardEvent) => {
          // An Enter that is held down is one decision, too.
          if (event.repeat && event.key === 'Enter') event.preventDefault();
          if (event.key !== 'Escape' || this.asked !== key) return;
          event.preventDefault(); // else the drawer would close
          set(null);
          announce(name);
        },
      },
    );
    const ask = (): void => {
      set(key);
      element.focus(); // a click does not everywhere
      announce(`${said} ${S.pressAgain}`);
    };
    const set = (asked: string | null): void => {
      this.asked = asked;
      show();
    };
    const show = (): void => {
      const asks = this.asked === key;
      element.classList.toggle('is-asking', asks);
      setText(element, asks ? question : label);
      element.setAttribute('aria-label', asks ? said : name);
      element.title = asks ? S.pressAgain : '';
    };
    show();
    return element;
  }
}
