// How a frame is printed without cutting a line. A page prints of a frame what its
// box shows, sliced where a sheet ends, and no script runs in between. So the frame
// sets its text in columns of a fixed height below one another, one a sheet, and
// says beforehand how many it needs; the shell makes the box that many sheets tall.
// How high a sheet is, only the style sheets learn, while they print: shell.css
// chooses one of these heights and tells print.css which by the width of the box.

/** Heights of the text on one sheet, in CSS pixels: for A4; for US Letter, or A4 with margins; for both
 *  on their side. shell.css and print.css have the same. */
export const TEXT_HEIGHTS = [1040, 960, 700] as const;

export interface PaperSize {
  /** Height of it all in one piece: for browsers without such columns, and for tiny sheets. */
  readonly pixels: number;
  /** Sheets by the heights above. */
  readonly sheets: readonly number[];
}
