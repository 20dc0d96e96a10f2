// What stands in place of the chat when it cannot even begin: why, and the way to
// try again. It knows no host and starts nothing.

import { later } from './again';
import { button, h } from './dom';
import { codeOf, describeError, isAway } from './errors';
import { exactWords } from './failure';
import { mark } from './icons';
import { adoptLanguage } from './language';
import { S } from './strings';
import { adoptStyles } from './styles';

/** Resolves when it is time to try again, by itself where the site was away, or when the person says so. */
export function showFailure(error: unknown, root: HTMLElement, failures: number): Promise<void> {
  adoptLanguage();
  adoptStyles();
  const { sentence, exact } = describeError(error, false);
  const away = isAway(error);
  return new Promise((resolve) => {
    const end = () => {
      callOff();
      again.disabled = true;
      resolve();
    };
    const again = button(S.tryAgain, end, { class: 'primary' });
    const callOff = away ? later(failures, end) : () => {};
    // The shell has hung up: nothing that one could ask would be answered.
    const way = codeOf(error) === 'invalid_argument' ? null : h('div', { class: 'remedies' }, again);
    const words = away ? `${sentence} ${S.triesAgain}` : sentence;
    const focused = root.contains(document.activeElement);
    root.replaceChildren(
      h(
        'div',
        { class: 'fatal', role: 'alert' },
        mark(),
        h('h1', {}, S.noStart),
        h('p', {}, words),
        way,
        exactWords(exact),
      ),
    );
    if (focused) again.focus();
  });
}
