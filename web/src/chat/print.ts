// How much paper the conversation takes: seal/paper.ts says why that has to be
// known beforehand. This measures it as it would stand there, some time after the
// last change, and tells the shell.

import { type PaperSize, TEXT_HEIGHTS } from '../seal/paper';

/** The width of the text on paper: that of shell.css. */
const PAPER_WIDTH = '44rem';
const REST_MS = 400;
/** Letters are set a little otherwise on paper. An empty sheet now and then is better than a lost end. */
const SPARE = 1.002;
const COLUMNS = CSS.supports('column-wrap', 'wrap');

export class Paper {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private told = '';

  /** `sheet` is the style of paper, `app` what is printed, `scroller` what would lose its place. */
  constructor(
    private readonly sheet: CSSStyleSheet,
    private readonly app: HTMLElement,
    private readonly scroller: HTMLElement,
    private readonly tell: (size: PaperSize) => void,
  ) {}

  /** The words may have changed. */
  changed(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.measure(), REST_MS);
  }

  private measure(): void {
    const { sheet, app, scroller } = this;
    const { scrollTop } = scroller;
    sheet.media.mediaText = 'all';
    app.style.width = PAPER_WIDTH;
    const pixels = Math.ceil(scroller.getBoundingClientRect().bottom - app.getBoundingClientRect().top);
    const sheets = TEXT_HEIGHTS.map((height) => (COLUMNS ? this.sheetsOf(height) : 1));
    app.removeAttribute('style');
    sheet.media.mediaText = 'print';
    scroller.scrollTop = scrollTop;
    const size = JSON.stringify([pixels, sheets]);
    if (size === this.told || pixels === 0) return;
    this.told = size;
    const { style } = document.documentElement;
    for (const [i, n] of sheets.entries()) style.setProperty(`--sheets-${i}`, String(n));
    this.tell({ pixels, sheets });
  }

  private sheetsOf(height: number): number {
    const { app, scroller } = this;
    app.style.cssText = `width: ${PAPER_WIDTH}; columns: 1; column-fill: auto; column-wrap: wrap; column-height: ${height}px; row-gap: 0`;
    const end = Math.max(...Array.from(scroller.getClientRects(), ({ bottom }) => bottom));
    const filled = (end - app.getBoundingClientRect().top) / height;
    return Math.max(1, Math.ceil(filled * SPARE));
  }
}
