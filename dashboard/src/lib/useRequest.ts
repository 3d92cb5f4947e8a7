import { onScopeDispose, ref, shallowRef, watch, type Ref, type ShallowRef } from 'vue'

import { ApiError } from './api.ts'

const RETRY_SECONDS = 5
const FRESH_MS = 10 * 60 * 1000

export interface Resource<T> {
  data: ShallowRef<T | null>
  error: ShallowRef<ApiError | null>
  /** Seconds until the automatic retry; null if there is none. */
  retryIn: Ref<number | null>
  reload: () => Promise<void>
}

/**
 * The result of `load`. It is loaded again when `key` changes, after a temporary error, and when
 * the user returns to the tab after a long time.
 */
export function useRequest<T>(key: () => unknown, load: () => Promise<T>): Resource<T> {
  const data = shallowRef<T | null>(null)
  const error = shallowRef<ApiError | null>(null)
  const retryIn = ref<number | null>(null)
  let turn = 0
  let loadedAt = 0
  let timer: ReturnType<typeof setInterval> | undefined

  async function reload(): Promise<void> {
    const mine = ++turn
    clearInterval(timer)
    retryIn.value = null
    try {
      const answer = await load()
      if (mine !== turn) return
      data.value = answer
      error.value = null
      loadedAt = Date.now()
    } catch (caught) {
      if (mine !== turn) return
      error.value = caught instanceof ApiError ? caught : new ApiError(-1, String(caught))
      if (error.value.isPassing) retryAfter(error.value.retrySeconds ?? RETRY_SECONDS)
    }
  }

  function retryAfter(seconds: number): void {
    retryIn.value = seconds
    timer = setInterval(() => {
      retryIn.value = (retryIn.value ?? 0) - 1
      if (retryIn.value <= 0) void reload()
    }, 1000)
  }

  function onReturn(): void {
    if (!document.hidden && data.value && Date.now() - loadedAt > FRESH_MS) void reload()
  }

  watch(
    key,
    () => {
      data.value = null
      error.value = null
      void reload()
    },
    { immediate: true },
  )
  document.addEventListener('visibilitychange', onReturn)
  onScopeDispose(() => {
    turn++
    clearInterval(timer)
    document.removeEventListener('visibilitychange', onReturn)
  })
  return { data, error, retryIn, reload }
}
