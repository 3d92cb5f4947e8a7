import { computed } from 'vue'

import { address } from './urlState.ts'
import { addDays, weekOf, within } from './periods.ts'

const DEFAULT_WEEKS = 26
const DEFAULT_WEEKS_OF_MONTHS = 52

/** The weeks and months of a team that the URL selects, and the period whose list is open. */
export function useShownPeriods<Week extends { week: string }, Month extends { month: string }>(
  data: () => { weeks: Week[]; months: Month[] } | null,
) {
  const latest = computed(() => data()?.weeks.at(-1)?.week ?? '')
  const last = computed(() => (address.to && address.to < latest.value ? address.to : latest.value))
  const begin = (weeks: number): string =>
    address.from ?? (last.value && addDays(weekOf(last.value), -7 * (weeks - 1)))
  const from = computed(() => begin(DEFAULT_WEEKS))
  const weeks = computed(() =>
    within(data()?.weeks ?? [], 'week', (row) => row.week, from.value, address.to),
  )
  const months = computed(() =>
    within(data()?.months ?? [], 'month', (row) => row.month, begin(DEFAULT_WEEKS_OF_MONTHS), address.to),
  )
  const open = computed(() => {
    if (address.week) return { kind: 'week' as const, first: address.week }
    return address.month ? { kind: 'month' as const, first: address.month } : null
  })
  const openRows = computed(() =>
    open.value?.kind === 'week'
      ? (data()?.weeks ?? []).map((row) => ({ ...row, first: row.week }))
      : (data()?.months ?? []).map((row) => ({ ...row, first: row.month })),
  )
  return { latest, from, weeks, months, open, openRows }
}
