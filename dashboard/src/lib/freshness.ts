import { computed, ref } from 'vue'

const STALE_MS = 12 * 60 * 60 * 1000

/** `as_of` of the newest response: everything is loaded up to here. Undefined before the first response. */
export const asOf = ref<string | null | undefined>()
/** The time zone of days, weeks and months in that response. */
export const zone = ref('UTC')

export function noteFreshness(answer: { as_of: string | null; reporting_timezone: string }): void {
  asOf.value = answer.as_of
  zone.value = answer.reporting_timezone
}

const now = ref(Date.now())
setInterval(() => (now.value = Date.now()), 60_000)

export const ageMs = computed(() => (asOf.value ? now.value - Date.parse(asOf.value) : 0))
export const isStale = computed(() => ageMs.value > STALE_MS)
