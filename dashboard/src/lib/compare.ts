/** Figures based on fewer pull requests than this are unreliable and marked as few. */
export const FEW = 5
export const WEEKS_BEFORE = 12
export const MONTHS_BEFORE = 6

/** A figure beside the same figure of earlier periods. The verdicts on trends come from the API. */
export interface Comparison {
  value: number | null
  prs: number
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

/** Compare the last point with those before it, except points with fewer pull requests than `needs`. */
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
  return {
    ...last,
    periods: others.length,
    median: middle(others),
    low: others[0] ?? null,
    high: others.at(-1) ?? null,
    yearBefore,
  }
}

function middle(sorted: readonly number[]): number | null {
  const half = sorted.length / 2
  if (!sorted.length) return null
  return (sorted[Math.ceil(half) - 1]! + sorted[Math.floor(half)]!) / 2
}
