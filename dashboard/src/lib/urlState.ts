import { reactive, readonly } from 'vue'

import { isDay, monthOf, weekOf } from './periods.ts'
import { STATUSES } from './statuses.ts'

const NAMES = ['team', 'view', 'status', 'from', 'to', 'week', 'month'] as const
type Name = (typeof NAMES)[number]

/** The view state in the page's URL; every part is optional. */
export type Address = { [name in Name]?: string }

/** In a URL that is written by hand, any day of a week or month stands for its first day. */
const FIRST: { [name in Name]?: (day: string) => string } = { week: weekOf, month: monthOf }

function isValid(name: Name, value: string): boolean {
  if (name === 'view') return value === 'delivery' || value === 'open'
  if (name === 'status') return STATUSES.some((one) => one === value)
  return name === 'team' || isDay(value)
}

function read(): Address {
  const query = new URLSearchParams(location.search)
  const found: Address = {}
  for (const name of NAMES) {
    const value = query.get(name)
    if (value && isValid(name, value)) found[name] = FIRST[name]?.(value) ?? value
  }
  return found
}

const state = reactive<Address>(read())
export const address = readonly(state)

function take(next: Address): void {
  for (const name of NAMES) state[name] = next[name]
}

addEventListener('popstate', () => take(read()))

/** The URL of the current view with some parts changed; undefined removes a part. */
export function addressWith(change: Address): string {
  return hrefTo({ ...state, ...change })
}

export function hrefTo(target: Address): string {
  const query = new URLSearchParams()
  for (const name of NAMES) if (target[name]) query.set(name, target[name])
  const text = query.toString()
  return text ? `?${text}` : './'
}

export function go(target: Address): void {
  history.pushState(null, '', hrefTo(target))
  take(target)
}

export function change(part: Address): void {
  go({ ...state, ...part })
}

/** Follow a link within the page. The browser handles clicks that open a new tab or window. */
export function follow(event: MouseEvent, target: Address): void {
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.button) return
  event.preventDefault()
  go(target)
}
