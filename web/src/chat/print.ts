// A page prints of a frame what its box shows, and only the frame knows how tall
// that has to be. This measures the conversation as it would stand on paper, some
// time after the last change; the shell then makes the box as tall while it prints.

/** The width of the frame on paper (44rem): that of shell.css. */
const PAPER_WIDTH = '44rem';
const REST_MS = 400;

export class Paper {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private told = 0;

  /** `sheet` is the style of paper, `app` what is printed, `scroller` what would lose its place. */
  constructor(
    private readonly sheet: CSSStyleSheet,
    private readonly app: HTMLElement,
    private readonly scroller: HTMLElement,
    private readonly tell: (pixels: number) => void,
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
    app.style.width = '';
    sheet.media.mediaText = 'print';
    scroller.scrollTop = scrollTop;
    if (pixels === this.told || pixels === 0) return;
    this.told = pixels;
    this.tell(pixels);
  }
}
