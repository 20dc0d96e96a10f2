// Dark or light. Follows the system until the person chooses; the choice lasts as
// long as the page, since an opaque frame has nowhere to keep it.

const dark = matchMedia('(prefers-color-scheme: dark)');
let chosen: 'dark' | 'light' | null = null;

export function isDark(): boolean {
  return chosen === null ? dark.matches : chosen === 'dark';
}

export function toggleTheme(): void {
  chosen = isDark() ? 'light' : 'dark';
  document.documentElement.style.colorScheme = chosen;
}

export function onThemeChange(listener: () => void): void {
  dark.addEventListener('change', listener);
}
