const LOCALE = 'en-GB'
const whole = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 0 })
const oneDigit = new Intl.NumberFormat(LOCALE, { minimumFractionDigits: 1, maximumFractionDigits: 1 })
const twoDigits = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 2 })
const share = new Intl.NumberFormat(LOCALE, { style: 'percent', maximumFractionDigits: 0 })

export const NO_DATA = 'no data'

export const count = (value: number): string => whole.format(value)
export const weight = (value: number): string => twoDigits.format(value)
export const percent = (value: number): string => share.format(value)

export function hours(value: number | null): string {
  return value === null ? NO_DATA : `${oneDigit.format(value)}\u00a0h`
}

/** Hours as days, which are easier to read; null below two days. */
export function days(value: number | null): string | null {
  return value === null || value < 48 ? null : `${oneDigit.format(value / 24)} days`
}

/** "1 pull request", "2,000 pull requests": a number with a noun whose plural ends in s. */
export function counted(many: number, noun: string): string {
  return `${count(many)} ${noun}${many === 1 ? '' : 's'}`
}

/** "3 hours", "5 months": an approximate age. */
export function age(ms: number): string {
  const steps: [number, Intl.NumberFormatOptions['unit']][] = [
    [365 * 24, 'year'],
    [30 * 24, 'month'],
    [24, 'day'],
    [1, 'hour'],
  ]
  const hoursAgo = ms / 3_600_000
  const [size, unit] = steps.find(([size]) => hoursAgo >= 2 * size) ?? [1 / 60, 'minute']
  return new Intl.NumberFormat(LOCALE, {
    style: 'unit',
    unit,
    unitDisplay: 'long',
    maximumFractionDigits: 0,
  }).format(Math.max(0, Math.floor(hoursAgo / size)))
}
