// The conversation on the screen: turn views in order, scrolling that follows
// the newest words until the person scrolls away, and the line between what the
// model still sees and what it no longer does. It knows no model.

import type { Turn } from './conversation';
import { h, iconButton } from './dom';
import { icon } from './icons';
import { S } from './strings';
import { type TurnActions, type TurnContext, TurnView } from './turn';

/** Within this many pixels of the end, the person is reading the newest words. */
const NEAR_END = 72;

export class Transcript {
  readonly element: HTMLElement;
  private readonly list = h('div');
  /** Scrolls to the end; to be placed above the composer. */
  readonly jump = iconButton(icon('down'), S.jump, () => this.follow(), {
    class: 'jump icon-only',
    hidden: true,
  });
  private readonly views = new Map<Turn, TurnView>();
  private following = true;

  constructor(
    private readonly scroller: HTMLElement,
    private readonly actions: TurnActions,
  ) {
    const title = h('h1', { class: 'offscreen', id: 'conversation-title' }, S.conversation);
    this.element = h('section', { class: 'transcript', 'aria-labelledby': title.id }, title, this.list);
    scroller.addEventListener('scroll', () => this.noteScroll(), { passive: true });
    const resized = new ResizeObserver(() => this.stick());
    for (const element of [scroller, this.list]) resized.observe(element); // a picture is drawn late
  }

  show(path: readonly Turn[], context: (turn: Turn) => TurnContext): void {
    for (const [turn, view] of this.views) {
      if (path.includes(turn)) continue;
      view.element.remove();
      this.views.delete(turn);
    }
    this.list.querySelector('.dropped')?.remove();
    const dropped = path.at(-1)?.dropped ?? 0;
    path.forEach((turn, i) => {
      const view = this.view(turn);
      if (this.list.children[i] !== view.element)
        this.list.insertBefore(view.element, this.list.children[i] ?? null);
      view.element.classList.toggle('is-dropped', i < dropped);
      view.update(context(turn));
    });
    const firstSeen = path[dropped];
    if (dropped > 0 && firstSeen !== undefined) {
      this.view(firstSeen).element.before(h('p', { class: 'dropped', role: 'note' }, S.dropped(dropped)));
    }
    this.stick();
  }

  update(turn: Turn, context: TurnContext): void {
    this.views.get(turn)?.update(context);
    this.stick();
  }

  startEdit(turn: Turn): void {
    this.views.get(turn)?.startEdit();
  }

  focusVersions(turn: Turn): void {
    this.views.get(turn)?.focusVersions();
  }

  /** The words of an answer without its marks. */
  plainText(turn: Turn): string {
    const prose = this.views.get(turn)?.element.querySelector('.prose');
    if (!prose) return turn.text.trim();
    const words = prose.cloneNode(true) as Element;
    for (const box of words.querySelectorAll('input')) box.replaceWith(box.checked ? '☑' : '☐');
    return (words.textContent ?? '').trim();
  }

  /** Goes to the newest words and stays with them. */
  follow(): void {
    this.following = true;
    this.stick();
  }

  private view(turn: Turn): TurnView {
    let view = this.views.get(turn);
    if (view === undefined) {
      view = new TurnView(turn, this.actions);
      this.views.set(turn, view);
    }
    return view;
  }

  private stick(): void {
    if (this.following && this.element.isConnected) this.scroller.scrollTop = this.scroller.scrollHeight;
    this.noteScroll();
  }

  private noteScroll(): void {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    // On the first screen there is nothing to follow.
    this.following = !this.element.isConnected || scrollHeight - scrollTop - clientHeight < NEAR_END;
    this.jump.hidden = this.following;
  }
}
