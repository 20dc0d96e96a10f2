// Files that are dropped on the page. What becomes of them, the caller knows.

/** Files may be dropped anywhere on the page, while `canTake` says so. */
export function listenToDrops(canTake: () => boolean, take: (files: readonly File[]) => void): void {
  const mark = (on: boolean) => document.body.classList.toggle('is-dropping', on);
  document.addEventListener('dragover', (event) => {
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault(); // else the browser would open the file in place of the page
    mark(true);
  });
  document.addEventListener('dragleave', ({ relatedTarget }) => relatedTarget === null && mark(false));
  document.addEventListener('drop', (event) => {
    mark(false);
    const files = [...(event.dataTransfer?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    if (canTake()) take(files);
  });
}
