// Dark or light. Follows the system until the person chooses. It keeps nothing
// itself: an opaque frame has nowhere to, so chat.ts has the shell do it.

const dark = matchMedia('(prefers-color-scheme: dark)');
let chosen: 'dark' | 'light' | null = null;

export function isDark(): boolean {
  return chosen === null ? dark.matches : chosen === 'dark';
}

/** Returns what is shown now. */
export function toggleTheme(): 'dark' | 'light' {
  const theme = isDark() ? 'light' : 'dark';
  setTheme(theme);
  return theme;
}

/** null follows the system. */
export function setTheme(theme: 'dark' | 'light' | null): void {
  chosen = theme;
  document.documentElement.style.colorScheme = theme ?? '';
}

export function onThemeChange(listener: () => void): void {
  dark.addEventListener('change', listener);
}
