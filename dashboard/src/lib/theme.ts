import { ref, watchEffect } from 'vue'

const NAME = 'dora-metrics.theme'
const THEMES = ['auto', 'light', 'dark'] as const
export type Theme = (typeof THEMES)[number]

const kept = localStorage.getItem(NAME)
export const theme = ref<Theme>(THEMES.find((one) => one === kept) ?? 'auto')

export function nextTheme(): void {
  theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length]!
  localStorage.setItem(NAME, theme.value)
}

watchEffect(() => {
  document.documentElement.dataset.theme = theme.value
})
