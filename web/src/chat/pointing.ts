// The picture with what an answer points at in it: boxes at once, and what is outlined
// as soon as its mask has been made of its codes. It asks for masks and draws them; what
// an answer means is boxes.ts's, and who decodes is the model's business.

import { MASK_SIDE } from '../vision/masks';
import type { Outlined } from './boxes';
import { h } from './dom';
import { S } from './strings';
import { pictureCanvas } from './thumbs';

/** Makes a mask of codes; 'none': the open model has no decoder for them; null: none is open. */
export type Outliner = (codes: readonly number[]) => Promise<Float32Array> | 'none' | null;

type Mask = Float32Array | 'coming' | 'failed';

export class PointingView {
  readonly element = h('div', { class: 'pointed', hidden: true });
  /** By codes. */
  private readonly masks = new Map<string, Mask>();
  private shown: {
    readonly picture: Blob;
    readonly found: readonly Outlined[];
    readonly lacking: boolean;
  } | null = null;
  private drawn = '';
  private drawings = 0;

  constructor(private readonly outline: Outliner) {}

  show(picture: Blob, found: readonly Outlined[]): void {
    let lacking = false;
    for (const { codes } of found) {
      if (codes === null || this.masks.has(codes.join())) continue;
      const asked = this.outline(codes);
      lacking ||= asked === 'none';
      if (asked === null || asked === 'none') continue;
      this.masks.set(codes.join(), 'coming');
      const keep = (mask: Mask) => {
        this.masks.set(codes.join(), mask);
        this.draw();
      };
      asked.then(
        (mask) => keep(mask.length === MASK_SIDE ** 2 ? mask : 'failed'),
        () => keep('failed'),
      );
    }
    this.shown = { picture, found, lacking };
    this.draw();
  }

  private draw(): void {
    if (this.shown === null) return;
    const { picture, found, lacking } = this.shown;
    const masks = found.map(({ codes }) => (codes === null ? null : (this.masks.get(codes.join()) ?? null)));
    const failed = masks.includes('failed');
    const key = JSON.stringify([
      found,
      masks.map((mask) => (typeof mask === 'string' ? mask : mask !== null)),
      lacking,
    ]);
    if (key === this.drawn || (this.drawn === '' && found.length === 0)) return;
    this.drawn = key;
    this.element.hidden = found.length === 0;
    const boxes = found.map(({ box }, i) => {
      const mask = masks[i];
      return { ...box, mask: mask instanceof Float32Array ? mask : null };
    });
    const labels = boxes.map(({ label, mask }, i) => {
      const named = `${i + 1} ${label}`.trim();
      return mask === null ? named : S.outlined(named);
    });
    const drawing = ++this.drawings; // each that comes after takes its place
    const note = lacking ? S.noOutlines : failed ? S.outlinesFailed : null;
    this.element.replaceChildren(
      pictureCanvas(picture, S.foundInPicture(labels.join(', ')), boxes, () => drawing === this.drawings),
      ...(note === null ? [] : [h('p', { class: 'note' }, note)]),
    );
  }
}
