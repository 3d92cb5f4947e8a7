import type { LeadTimeMonth, VelocityWeek } from './api.ts'
import { compare, FEW, MONTHS_BEFORE, WEEKS_BEFORE, type Comparison, type Point } from './compare.ts'
import { yearEarlier } from './periods.ts'

/** A team's last complete week and month, compared with earlier ones. */
export interface LatestFigures {
  week: string | null
  month: string | null
  merged: Comparison
  cycle: Comparison
  median: Comparison
  p95: Comparison
  weeks: VelocityWeek[]
}

export function latestFigures(weeks: VelocityWeek[], months: LeadTimeMonth[]): LatestFigures {
  const whole = weeks.filter((row) => row.is_complete)
  const wholeMonths = months.filter((row) => row.is_complete)
  const last = wholeMonths.at(-1)?.month ?? ''
  const yearBefore = wholeMonths.find((row) => row.month === yearEarlier(last))
  const ofMonths = (name: 'median_lead_time_hours' | 'p95_lead_time_hours'): Comparison => {
    const point = (row: LeadTimeMonth): Point => ({ value: row[name], prs: row.prs_merged })
    return compare(wholeMonths.map(point), MONTHS_BEFORE, FEW, yearBefore ? point(yearBefore) : null)
  }
  return {
    week: whole.at(-1)?.week ?? null,
    month: wholeMonths.at(-1)?.month ?? null,
    merged: compare(whole.map((row) => ({ value: row.prs_merged, prs: row.prs_merged })), WEEKS_BEFORE, 0),
    cycle: compare(
      whole.map((row) => ({ value: row.avg_cycle_time_hours, prs: row.prs_merged })), WEEKS_BEFORE, FEW,
    ),
    median: ofMonths('median_lead_time_hours'),
    p95: ofMonths('p95_lead_time_hours'),
    weeks: whole.slice(-1 - WEEKS_BEFORE),
  }
}
