// Which downloads the person has stopped, and which models they have removed: a
// page that comes back does not fetch them again unasked. The shell remembers
// it, since the frame can keep nothing; where the browser keeps nothing for the
// shell either, it is forgotten.

const keyOf = (model: string) => `slmweb-halted:${model}`;

export function isHalted(model: string): boolean {
  try {
    return localStorage.getItem(keyOf(model)) !== null;
  } catch {
    return false;
  }
}

export function setHalted(model: string, halted: boolean): void {
  try {
    if (halted) localStorage.setItem(keyOf(model), '1');
    else localStorage.removeItem(keyOf(model));
  } catch {
    // a private window of some browsers
  }
}
