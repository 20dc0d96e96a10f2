// strftime, in the C locale, for the local time.

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = [
  'January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December',
]; // biome-ignore format: one line
const DAY_MS = 86_400_000;

export function strftime(date: Date, format: string): string {
  const two = (n: number) => String(n).padStart(2, '0');
  const year = date.getFullYear();
  const hour = date.getHours();
  const half = hour % 12 || 12;
  const midnight = Date.UTC(year, date.getMonth(), date.getDate());
  const yearDay = Math.round((midnight - Date.UTC(year, 0, 1)) / DAY_MS);
  const weekday = date.getDay();
  const monday = (weekday + 6) % 7;
  const iso = isoWeek(midnight, monday);
  const blank = (n: number) => String(n).padStart(2, ' ');
  const codes: Readonly<Record<string, () => string>> = {
    a: () => DAYS[weekday]!.slice(0, 3),
    A: () => DAYS[weekday]!,
    b: () => MONTHS[date.getMonth()]!.slice(0, 3),
    B: () => MONTHS[date.getMonth()]!,
    c: () => strftime(date, '%a %b %e %H:%M:%S %Y'),
    C: () => two(Math.floor(year / 100)),
    d: () => two(date.getDate()),
    D: () => strftime(date, '%m/%d/%y'),
    e: () => blank(date.getDate()),
    f: () => String(date.getMilliseconds() * 1000).padStart(6, '0'),
    F: () => strftime(date, '%Y-%m-%d'),
    g: () => two(iso.year % 100),
    G: () => String(iso.year),
    h: () => MONTHS[date.getMonth()]!.slice(0, 3),
    H: () => two(hour),
    I: () => two(half),
    j: () => String(yearDay + 1).padStart(3, '0'),
    k: () => blank(hour),
    l: () => blank(half),
    m: () => two(date.getMonth() + 1),
    M: () => two(date.getMinutes()),
    n: () => '\n',
    p: () => (hour < 12 ? 'AM' : 'PM'),
    P: () => (hour < 12 ? 'am' : 'pm'),
    r: () => strftime(date, '%I:%M:%S %p'),
    R: () => strftime(date, '%H:%M'),
    s: () => String(Math.floor(date.getTime() / 1000)),
    S: () => two(date.getSeconds()),
    t: () => '\t',
    T: () => strftime(date, '%H:%M:%S'),
    u: () => String(monday + 1),
    U: () => two(Math.floor((yearDay + 7 - weekday) / 7)),
    V: () => two(iso.week),
    w: () => String(weekday),
    W: () => two(Math.floor((yearDay + 7 - monday) / 7)),
    x: () => strftime(date, '%m/%d/%y'),
    X: () => strftime(date, '%H:%M:%S'),
    y: () => two(year % 100),
    Y: () => String(year),
    // A time without a zone, as datetime.now() gives, prints none.
    z: () => '',
    Z: () => '',
    '%': () => '%',
  };
  return format.replace(/%([-_0^#]?)([\s\S])/g, (whole, flag: string, code: string) => {
    const found = Object.hasOwn(codes, code) ? codes[code]!() : null;
    if (found === null) return whole;
    if (flag === '-') return found.replace(/^[0 ]+(?=.)/, '');
    if (flag === '_') return found.replace(/^0+(?=.)/, (zeros) => ' '.repeat(zeros.length));
    if (flag === '0') return found.replace(/^ +/, (spaces) => '0'.repeat(spaces.length));
    return flag === '^'
      ? found.toUpperCase()
      : flag === '#'
        ? code === 'p'
          ? found.toLowerCase()
          : found.toUpperCase()
        : found;
  });
}

function isoWeek(midnight: number, monday: number): { year: number; week: number } {
  // The week belongs to the year of its Thursday.
  const thursday = midnight + (3 - monday) * DAY_MS;
  const year = new Date(thursday).getUTCFullYear();
  return { year, week: Math.floor((thursday - Date.UTC(year, 0, 1)) / (7 * DAY_MS)) + 1 };
}
