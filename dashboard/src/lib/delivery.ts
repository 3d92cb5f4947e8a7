import type { DeliveryMonth, DeliveryWeek } from './api.ts'
import { compare, FEW, MONTHS_BEFORE, type Comparison, type Point } from './compare.ts'
import { count, hours, percent } from './format.ts'

type Column = {
  [Name in keyof DeliveryMonth]: DeliveryMonth[Name] extends number | null ? Name : never
}[keyof DeliveryMonth]

/** One of DORA's five metrics: its column, the column of its sample size (`basis`) and how it is shown. */
export interface Metric {
  title: string
  name: Column
  basis: Column
  noun: string
  format: (value: number) => string
  /** The text for null if the basis is 0. */
  none: string
  /** A number of deployments is never based on too few. */
  isCount?: boolean
}

export const METRICS: Metric[] = [
  { title: 'Change lead time', name: 'median_change_lead_time_hours', basis: 'changes_deployed', noun: 'change', format: hours, none: 'nothing deployed' },
  { title: 'Deployments', name: 'deployments', basis: 'deployments', noun: 'deployment', format: count, none: 'nothing deployed', isCount: true },
  { title: 'Change fail rate', name: 'change_fail_rate', basis: 'deployments', noun: 'deployment', format: percent, none: 'nothing deployed' },
  { title: 'Recovery time', name: 'median_recovery_hours', basis: 'failures_recovered', noun: 'recovery', format: hours, none: 'no recoveries' },
  { title: 'Rework rate', name: 'deployment_rework_rate', basis: 'deployments', noun: 'deployment', format: percent, none: 'nothing deployed' },
]

export interface Seen {
  metric: Metric
  comparison: Comparison
  /** The figure as text: not measured, no data, or a value, which may be 0. */
  text: string
  isMeasured: boolean
  /** The figure of the earlier months and of this month, oldest first. */
  values: (number | null)[]
}

/** A team's last complete month, with each metric compared with the months before. */
export function lastMonth(months: readonly DeliveryMonth[]): { month: DeliveryMonth | null; seen: Seen[] } {
  const whole = months.filter((row) => row.is_complete)
  const month = whole.at(-1) ?? null
  const seen = METRICS.map((metric): Seen => {
    const point = (row: DeliveryMonth): Point => ({ value: row[metric.name], prs: row[metric.basis] ?? 0 })
    const isMeasured = month !== null && month.deployments !== null
    const value = month?.[metric.name] ?? null
    return {
      metric,
      comparison: compare(whole.map(point), MONTHS_BEFORE, metric.isCount ? 0 : FEW),
      text: value === null ? (isMeasured ? metric.none : 'not measured') : metric.format(value),
      isMeasured,
      values: whole.slice(-1 - MONTHS_BEFORE).map((row) => row[metric.name]),
    }
  })
  return { month, seen }
}

const CAUSES = ['incident', 'rollback', 'revert', 'hotfix', 'status'] as const
export const CAUSE_NAMES: Record<string, string> = {
  incident: 'incident',
  rollback: 'rolled back',
  revert: 'reverted',
  hotfix: 'hotfix',
  status: "GitHub's status",
}

/** Stacked bars: deployments that did not fail, and failed deployments by cause. */
export const DEPLOYMENT_BARS = [
  { name: 'deployments_without_failure', label: 'Not failed', shape: 'stack' as const, tone: 'main' },
  ...CAUSES.map((cause) => ({
    name: `failed_by_${cause}`, label: `Failed: ${CAUSE_NAMES[cause]}`, shape: 'stack' as const, tone: `by-${cause}`,
  })),
]

export function withoutFailure<Row extends DeliveryWeek>(row: Row): Row & { deployments_without_failure: number | null } {
  const { deployments, failed_deployments } = row
  const left = deployments === null ? null : deployments - (failed_deployments ?? 0)
  return { ...row, deployments_without_failure: left }
}
