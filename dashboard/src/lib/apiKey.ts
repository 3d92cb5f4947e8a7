import { ref } from 'vue'

const NAME = 'dora-metrics.api-key'

/** The API key, kept for this browser tab only. */
export const apiKey = ref(sessionStorage.getItem(NAME))

/** Why the user must enter a key; null while requests are accepted. */
export const refusal = ref<string | null>(null)

export function keepKey(key: string): void {
  sessionStorage.setItem(NAME, key)
  apiKey.value = key
  refusal.value = null
}

export function forgetKey(why: string): void {
  sessionStorage.removeItem(NAME)
  apiKey.value = null
  refusal.value = why
}
