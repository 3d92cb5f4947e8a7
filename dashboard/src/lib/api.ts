import { apiKey, forgetKey } from './session.ts'

export interface Member {
  github_username: string
  allocation_weight: number
}

export interface TeamOverview {
  id: string
  name: string
  description: string | null
  members: Member[]
}

interface Head {
  as_of: string | null
  reporting_timezone: string
}

export interface Teams extends Head {
  data: TeamOverview[]
}

export interface VelocityWeek {
  week: string
  prs_merged: number
  weighted_prs_merged: number
  avg_cycle_time_hours: number | null
  weighted_avg_cycle_time_hours: number | null
  contributors: number
  is_complete: boolean
}

export interface LeadTimeMonth {
  month: string
  prs_merged: number
  median_lead_time_hours: number | null
  p95_lead_time_hours: number | null
  weighted_median_lead_time_hours: number | null
  weighted_p95_lead_time_hours: number | null
  median_coding_hours: number | null
  median_draft_hours: number | null
  median_pickup_hours: number | null
  median_review_hours: number | null
  is_complete: boolean
}

export interface PullRequest {
  repository: string
  number: number
  title: string
  url: string
  author: string | null
  weight: number
  created_at: string
  first_review_at: string | null
  merged_at: string
  cycle_time_hours: number
  coding_hours: number
  draft_hours: number
  pickup_hours: number
  review_hours: number
  total_hours: number
  size: number | null
}

export interface TeamFigures {
  team: { id: string; name: string }
  velocity: VelocityWeek[]
  lead_time: LeadTimeMonth[]
}

export interface Figures extends Head {
  data: TeamFigures[]
}

export interface Health {
  as_of: string | null
  /** Whether these are the figures of a made-up organisation. */
  demo?: boolean
}

/** Pull requests merged on the days from one to another, both inclusive. */
export interface PullRequests extends Head {
  from: string
  to: string
  data: PullRequest[]
}

interface Page extends PullRequests {
  next_cursor?: string
}

/** What a key is made of; a browser refuses to send anything else. */
const KEY = /^[\x21-\x7e]*$/
const WAIT_MS = 30_000

/** As many as the API compares in one answer. */
const TEAMS_AT_ONCE = 20

/** The API said no, or (status 0) said nothing. */
export class ApiError extends Error {
  readonly status: number
  readonly retrySeconds: number | null

  constructor(status: number, detail: string, retrySeconds: number | null = null) {
    super(detail)
    this.status = status
    this.retrySeconds = retrySeconds
  }

  /** Whether the same question may be answered later. */
  get isPassing(): boolean {
    return [0, 502, 503, 504].includes(this.status)
  }
}

export async function ask<T>(path: string, key = apiKey.value, signal?: AbortSignal): Promise<T> {
  if (key && !KEY.test(key)) throw refused('The API key has a character that no key has; copy it once more.', key)
  const response = await fetched(path, key, signal)
  if (response.ok) {
    return (await response.json().catch(() => {
      throw new ApiError(502, 'What answered was not the API but something on the way to it.')
    })) as T
  }
  const problem = await response.json().catch(() => ({}))
  const detail = String(problem.detail ?? `The API answered with status ${response.status}.`)
  const wait = Number(response.headers.get('Retry-After'))
  if (response.status === 401) throw refused(detail, key)
  throw new ApiError(response.status, detail, wait > 0 ? wait : null)
}

function refused(detail: string, key: string | null): ApiError {
  // Only where the key that was refused is the one still in use.
  if (key === apiKey.value) forgetKey(detail)
  return new ApiError(401, detail)
}

async function fetched(path: string, key: string | null, signal?: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = { Accept: 'application/json' }
  if (key) headers['X-API-Key'] = key
  try {
    // Relative to the page, which may stand below a stage's path.
    const late = AbortSignal.timeout(WAIT_MS)
    return await fetch(path, { headers, signal: signal ? AbortSignal.any([signal, late]) : late })
  } catch (error) {
    if (signal?.aborted) throw error
    throw new ApiError(0, 'The API did not answer. Is it running, and is this machine online?')
  }
}

export const teams = (key = apiKey.value): Promise<Teams> => ask<Teams>('teams', key)

export const health = (): Promise<Health> => ask<Health>('health')

/** Weeks and months of teams, in this order; those that are asked for together are of one build. */
export async function figures(teams: readonly string[], from?: string): Promise<Figures> {
  const parts: Promise<Figures>[] = []
  for (let at = 0; at < teams.length; at += TEAMS_AT_ONCE) {
    const query = new URLSearchParams(teams.slice(at, at + TEAMS_AT_ONCE).map((team) => ['team', team]))
    if (from) query.set('from', from)
    parts.push(ask<Figures>(`metrics/compare?${query}`))
  }
  const answers = await Promise.all(parts)
  return { ...answers.at(-1)!, data: answers.flatMap((answer) => answer.data) }
}

/** Every pull request merged from one day to another, both inclusive; newest merge first. */
export async function pullRequests(team: string, from: string, to: string): Promise<PullRequests> {
  const found: PullRequest[] = []
  let page: Page
  let cursor: string | undefined
  do {
    const parameters = { from, to, limit: '1000', ...(cursor && { cursor }) }
    page = await ask<Page>(`metrics/team/${encodeURIComponent(team)}/pull-requests?${new URLSearchParams(parameters)}`)
    found.push(...page.data)
    cursor = page.next_cursor
  } while (cursor)
  return { ...page, data: found }
}
