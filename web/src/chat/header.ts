// The line above the conversation: which model answers and in which domain, the
// way to the others, and what one does with a chat as a whole. It draws names and
// calls actions; only the colours of the page are its own.

import type { Site } from '../seal/protocol';
import type { Chat } from './chat';
import { copyButton } from './copy';
import { h, iconButton, setText } from './dom';
import { icon } from './icons';
import { siteMark } from './site';
import { S } from './strings';
import { isDark, onThemeChange, toggleTheme } from './theme';
import { toMarkdown } from './transfer';

export interface HeaderActions {
  readonly about: () => void;
  readonly choose: () => void;
  readonly newChat: () => void;
  readonly openTalks: () => void;
  readonly openSettings: () => void;
}

export class HeaderView {
  readonly element: HTMLElement;
  private readonly name = h('span', { class: 'name', dir: 'auto' });
  private readonly domain = h('span', { class: 'domain' });
  private readonly model: HTMLButtonElement;
  private readonly pick: HTMLButtonElement;
  private readonly copyAll: HTMLButtonElement;
  private readonly theme: HTMLButtonElement;

  constructor(
    site: Site,
    private readonly chat: Chat,
    { about, choose, newChat, openTalks, openSettings }: HeaderActions,
  ) {
    this.model = h(
      'button',
      { type: 'button', class: 'model', onclick: about },
      siteMark(site),
      this.name,
      this.domain,
    );
    this.pick = iconButton(icon('choose'), S.choose, choose, { class: 'bare icon-only pick' });
    this.copyAll = copyButton(S.copyAll, () => toMarkdown(chat.conversation), {
      class: 'bare copy-all',
      title: S.copyAll,
    });
    this.copyAll.replaceChildren(icon('copy'), h('span', { class: 'label' }, S.copyAll));
    this.theme = iconButton(icon('moon'), S.toDark, () => this.switchTheme(), { class: 'bare icon-only' });
    this.element = h(
      'header',
      { class: 'top' },
      h('div', { class: 'which' }, this.model, this.pick),
      h(
        'div',
        { class: 'tools' },
        iconButton(icon('plus'), S.newChat, newChat, { class: 'bare' }),
        iconButton(icon('list'), S.conversations, openTalks, { class: 'bare' }),
        this.copyAll,
        iconButton(icon('sliders'), S.settings, openSettings, { class: 'bare' }),
        this.theme,
      ),
    );
    onThemeChange(() => this.drawTheme());
    this.drawTheme();
  }

  /** The model or its domain is another, or there are others to choose from. */
  updateModel(): void {
    const { model, domain } = this.chat;
    const title = model.entry?.title ?? null;
    setText(this.name, title ?? S.choose);
    setText(this.domain, domain?.title ?? '');
    this.domain.hidden = domain === null;
    const about = domain === null ? S.aboutModel : (name: string) => S.aboutInDomain(name, domain.title);
    this.model.setAttribute('aria-label', title === null ? S.choose : about(title));
    this.pick.hidden = model.models.length < 2;
  }

  /** Other turns are shown, or none. */
  updatePath(): void {
    this.copyAll.hidden = this.chat.conversation.empty;
  }

  private switchTheme(): void {
    this.chat.keep(toggleTheme());
    this.drawTheme();
  }

  private drawTheme(): void {
    const dark = isDark();
    const label = dark ? S.toLight : S.toDark;
    this.theme.replaceChildren(icon(dark ? 'sun' : 'moon'), h('span', { class: 'label' }, label));
    this.theme.title = label;
  }
}
