// The five drawers of the page: the model card, the picker, the settings, how fast
// this device is, and the conversations. Here stands what each is drawn from and which click closes it;
// what they show, their own files know.

import type { ChatHost, ModelEntry } from '../seal/protocol';
import { announce } from './announce';
import { drawCard } from './card';
import type { Chat } from './chat';
import { Confirm } from './confirm';
import type { Conversation } from './conversation';
import { openConversation, saveConversation } from './files';
import { drawHowFast } from './howfast';
import { Measurement } from './measurement';
import { Panel } from './panel';
import { drawPicker } from './picker';
import { drawSettings } from './settings';
import { S } from './strings';
import { drawTalks } from './talks';

export interface DrawerActions {
  readonly open: (entry: ModelEntry) => void;
  readonly update: () => void;
  readonly goBack: () => void;
  readonly show: (conversation: Conversation) => void;
  /** Another domain answers next. */
  readonly onDomain: () => void;
  /** The settings are closed. */
  readonly onSettings: () => void;
}

export class Drawers {
  readonly card: Panel;
  readonly picker: Panel;
  readonly settings: Panel;
  readonly talks: Panel;
  readonly howFast: Panel;
  private readonly measurement: Measurement;
  /** Why the last file was not opened, or not written. */
  private refusal: string | null = null;
  private undoDelete: (() => void) | null = null;
  private readonly confirm = new Confirm();

  constructor(
    private readonly host: ChatHost,
    private readonly chat: Chat,
    private readonly actions: DrawerActions,
  ) {
    this.card = new Panel('card', S.aboutShort, () => this.drawCard());
    this.picker = new Panel('picker', S.others, () => this.drawPicker());
    this.settings = new Panel('settings', S.settings, () => this.drawSettings(), actions.onSettings);
    this.measurement = new Measurement(chat.model, () => this.redraw(this.howFast));
    this.howFast = new Panel(
      'how-fast',
      S.howFast,
      () => drawHowFast({ measurement: this.measurement, possible: chat.model.slm !== null && !chat.busy }),
      () => this.measurement.stop(),
    );
    this.talks = new Panel(
      'talks',
      S.conversations,
      () => this.drawTalks(),
      () => {
        this.refusal = null;
        this.undoDelete = null;
      },
    );
  }

  get elements(): readonly HTMLElement[] {
    return this.all.map(({ element }) => element);
  }

  get anyOpen(): boolean {
    return this.all.some(({ isOpen }) => isOpen);
  }

  /** The models, or what is known of the open one, have changed. */
  redrawModels(): void {
    for (const panel of [this.card, this.picker, this.howFast]) this.redraw(panel);
  }

  private redraw(panel: Panel): void {
    if (panel.isOpen) panel.redraw();
  }

  private get all(): readonly Panel[] {
    return [this.card, this.picker, this.settings, this.howFast, this.talks];
  }

  private drawCard(): readonly (Node | null)[] {
    const { chat, card, actions, confirm } = this;
    return drawCard({
      site: this.host.site,
      state: chat.model.state,
      entry: chat.model.entry,
      models: chat.model.models,
      guard: chat.model.guard,
      open: (entry) => {
        card.close();
        actions.open(entry);
      },
      remove: (entry) => void this.remove(entry),
      update: () => {
        card.close();
        actions.update();
      },
      goBack: () => {
        card.close();
        actions.goBack();
      },
      forget: (entry) => void chat.model.forget(entry),
      confirm,
    });
  }

  private drawPicker(): readonly Node[] {
    const { chat, picker, actions, confirm } = this;
    return drawPicker({
      models: chat.model.models,
      guard: chat.model.guard,
      current: chat.model.entry,
      open: (entry) => {
        picker.close();
        actions.open(entry);
      },
      remove: (entry) => void this.remove(entry),
      confirm,
    });
  }

  private drawSettings(): readonly (Node | null)[] {
    const { chat, settings, actions } = this;
    return drawSettings({
      settings: chat.settings,
      info: chat.model.slm?.info ?? null,
      adapters: chat.adapters,
      choice: chat.model.choice,
      lastSeed: chat.lastSeed,
      reset: () => chat.resetSampling(),
      reload: (choice) => {
        const { kernels = {} } = chat.model.choice; // may have changed since the settings were drawn
        chat.model.choice = { ...choice, kernels };
        settings.close();
        chat.reload();
      },
      howFast: () => {
        settings.close();
        this.howFast.open();
      },
      redraw: () => settings.redraw(),
      onDomain: actions.onDomain,
    });
  }

  private drawTalks(): readonly (Node | null)[] {
    const { chat, talks, actions } = this;
    return drawTalks({
      conversations: chat.conversations,
      shown: chat.conversation,
      refusal: this.refusal,
      undo: this.undoDelete,
      show: (conversation) => {
        talks.close();
        actions.show(conversation);
      },
      remove: (conversation) => this.delete(conversation),
      save: (kind) => void this.save(kind),
      openFile: (file) => void this.openFile(file),
    });
  }

  private async remove(entry: ModelEntry): Promise<void> {
    await this.chat.remove(entry);
    announce(S.removed(entry.title));
  }

  private delete(conversation: Conversation): void {
    const { talks } = this;
    const putBack = this.chat.forget(conversation);
    this.undoDelete = () => {
      putBack();
      this.undoDelete = null;
      talks.redraw();
    };
    talks.redraw();
    talks.element.querySelector<HTMLElement>('[data-action=undo]')?.focus();
  }

  private async save(kind: 'md' | 'json'): Promise<void> {
    const before = this.refusal;
    this.refusal = null;
    try {
      await saveConversation(this.chat.conversation, kind);
    } catch (error) {
      this.refusal = (error as Error).message;
    }
    if (this.refusal !== null || before !== null) this.redraw(this.talks);
  }

  private async openFile(file: File): Promise<void> {
    try {
      const opened = await openConversation(file);
      this.talks.close();
      this.actions.show(opened);
    } catch (error) {
      this.refusal = (error as Error).message;
      this.talks.redraw();
    }
  }
}
