import type { Trend } from './api.ts'
import { addDays } from './periods.ts'
import type { Address } from './urlState.ts'

const OF_DELIVERY = ['deployments_per_week', 'change_lead_time_hours', 'change_fail_rate']
const WEEKS = 13

export const isOfDelivery = (trend: Trend): boolean => OF_DELIVERY.includes(trend.metric)

/** The address of a team's charts, from the first week of the comparison. */
export function chartsOf(trend: Trend): Address {
  return {
    team: trend.team_id,
    view: isOfDelivery(trend) ? 'delivery' : undefined,
    from: trend.earlier_first_week,
  }
}

/** The last day of the 13 weeks from a Monday. */
export const lastDayOf = (firstWeek: string): string => addDays(firstWeek, 7 * WEEKS - 1)

/**
 * The changes of each team, in the given order: worst first. If a metric changed in the same
 * direction within a quarter and within a year, only the larger change is news.
 */
export function byTeam(trends: readonly Trend[]): { id: string; name: string; trends: Trend[] }[] {
  const teams = new Map<string, { id: string; name: string; trends: Trend[] }>()
  for (const trend of trends) {
    const team = teams.get(trend.team_id) ?? { id: trend.team_id, name: trend.team_name, trends: [] }
    const isKnown = team.trends.some((one) => one.metric === trend.metric && one.verdict === trend.verdict)
    if (!isKnown) team.trends.push(trend)
    teams.set(trend.team_id, team)
  }
  return [...teams.values()]
}
