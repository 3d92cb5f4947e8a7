/** Days are strings, YYYY-MM-DD, as in the API; they have no time zone. */

const DAY_MS = 24 * 60 * 60 * 1000

function instant(day: string): Date {
  return new Date(`${day}T00:00Z`)
}

export function isDay(text: string): boolean {
  return /^\d{4}-\d{2}-\d{2}$/.test(text) && instant(text).toJSON()?.slice(0, 10) === text
}

export function addDays(day: string, days: number): string {
  return new Date(instant(day).getTime() + days * DAY_MS).toJSON().slice(0, 10)
}

/** The Monday of a day's week. */
export function weekOf(day: string): string {
  return addDays(day, -((instant(day).getUTCDay() + 6) % 7))
}

export function monthOf(day: string): string {
  return `${day.slice(0, 7)}-01`
}

/** The first day of the same month a year earlier. */
export function yearEarlier(month: string): string {
  return `${Number(month.slice(0, 4)) - 1}${month.slice(4)}`
}

export type Kind = 'week' | 'month'

export function lastDay(kind: Kind, first: string): string {
  if (kind === 'week') return addDays(first, 6)
  return addDays(monthOf(addDays(first, 31)), -1)
}

/** The rows whose period overlaps the days `from` to `to`, both inclusive and optional. */
export function within<Row>(
  rows: readonly Row[],
  kind: Kind,
  first: (row: Row) => string,
  from?: string,
  to?: string,
): Row[] {
  return rows.filter(
    (row) => (!from || lastDay(kind, first(row)) >= from) && (!to || first(row) <= to),
  )
}

const LOCALE = 'en-GB'

function formatter(options: Intl.DateTimeFormatOptions): (day: string) => string {
  const format = new Intl.DateTimeFormat(LOCALE, { timeZone: 'UTC', ...options })
  return (day) => format.format(instant(day))
}

export const longDay = formatter({ day: 'numeric', month: 'long', year: 'numeric' })
export const shortDay = formatter({ day: 'numeric', month: 'short' })
export const longMonth = formatter({ month: 'long', year: 'numeric' })
export const shortMonth = formatter({ month: 'short' })

/** "11 – 17 May 2026", or "May 2026". */
export function spanOf(kind: Kind, first: string): string {
  if (kind === 'month') return longMonth(first)
  return daysOf(first, lastDay(kind, first))
}

/** "11 – 17 May 2026". */
export function daysOf(first: string, last: string): string {
  const begin = first.slice(0, 7) === last.slice(0, 7) ? String(Number(first.slice(8))) : shortDay(first)
  const year = first.slice(0, 4) === last.slice(0, 4) ? '' : ` ${first.slice(0, 4)}`
  return `${begin}${year} – ${longDay(last)}`
}

/** The day of an instant in a time zone; in UTC if the browser does not know the zone. */
export function dayIn(zone: string, iso: string): string {
  try {
    // This locale formats dates as YYYY-MM-DD.
    return new Intl.DateTimeFormat('sv-SE', { timeZone: zone }).format(new Date(iso))
  } catch {
    return iso.slice(0, 10)
  }
}

const moment = new Intl.DateTimeFormat(LOCALE, {
  timeZone: 'UTC',
  day: 'numeric',
  month: 'long',
  year: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
})

/** "26 June 2026 at 16:10 UTC". */
export function longInstant(iso: string): string {
  return `${moment.format(new Date(iso))} UTC`
}
