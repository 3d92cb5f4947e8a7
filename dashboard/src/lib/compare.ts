/** Figures based on fewer pull requests than this are unreliable and marked as few. */
export const FEW = 5
export const WEEKS_BEFORE = 12
export const MONTHS_BEFORE = 6
const ENOUGH = 4

export type Verdict = 'above' | 'below' | 'within' | 'few' | 'unknown'

/** A figure compared with the same figure of earlier periods. */
export interface Comparison {
  value: number | null
  prs: number
  verdict: Verdict
  /** The number of earlier periods in the comparison. */
  periods: number
  median: number | null
  low: number | null
  high: number | null
  /** The same figure a year before: a slow decline does not show in a comparison with recent periods. */
  yearBefore: Point | null
}

export interface Point {
  value: number | null
  prs: number
}

/**
 * Compare the last point with those before it: `above` means above all of them, `below` below all.
 * This needs no threshold; by chance alone it happens in 2 of 13 weeks.
 * Points with fewer pull requests than `needs` are ignored.
 */
export function compare(
  points: readonly Point[],
  before: number,
  needs: number,
  yearBefore: Point | null = null,
): Comparison {
  const last = points.at(-1) ?? { value: null, prs: 0 }
  const others = points
    .slice(-1 - before, -1)
    .filter((point) => point.value !== null && point.prs >= needs)
    .map((point) => point.value as number)
    .sort((a, b) => a - b)
  const low = others[0] ?? null
  const high = others.at(-1) ?? null
  return {
    ...last,
    verdict: verdictOf(last, needs, low, high, others.length),
    periods: others.length,
    median: middle(others),
    low,
    high,
    yearBefore,
  }
}

function verdictOf(
  last: Point,
  needs: number,
  low: number | null,
  high: number | null,
  periods: number,
): Verdict {
  if (last.value === null) return 'unknown'
  if (last.prs < needs) return 'few'
  if (low === null || high === null || periods < ENOUGH) return 'unknown'
  if (last.value > high) return 'above'
  return last.value < low ? 'below' : 'within'
}

function middle(sorted: readonly number[]): number | null {
  const half = sorted.length / 2
  if (!sorted.length) return null
  return (sorted[Math.ceil(half) - 1]! + sorted[Math.floor(half)]!) / 2
}
