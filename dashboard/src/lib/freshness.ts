import { computed, ref } from 'vue'

const STALE_MS = 12 * 60 * 60 * 1000

/** Up to when everything is loaded, as the newest answer said; undefined before the first. */
export const asOf = ref<string | null | undefined>()
/** The time zone of its days, weeks and months. */
export const zone = ref('UTC')

export function noteFreshness(answer: { as_of: string | null; reporting_timezone: string }): void {
  asOf.value = answer.as_of
  zone.value = answer.reporting_timezone
}

const now = ref(Date.now())
setInterval(() => (now.value = Date.now()), 60_000)

export const ageMs = computed(() => (asOf.value ? now.value - Date.parse(asOf.value) : 0))
export const isStale = computed(() => ageMs.value > STALE_MS)
