import { apiKey, forgetKey } from './apiKey.ts'
import type { Status } from './statuses.ts'

export interface Member {
  github_username: string
  allocation_weight: number
}

export interface TeamOverview {
  id: string
  name: string
  description: string | null
  members: Member[]
  isGroup?: boolean
}

/** A group of teams, which stands where a team does; the group `all` contains every team. */
export interface GroupOverview {
  id: string
  name: string
  parent: string | null
  teams: string[]
}

interface Head {
  as_of: string | null
  reporting_timezone: string
}

export interface Teams extends Head {
  data: TeamOverview[]
}

export interface Groups extends Head {
  data: GroupOverview[]
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

export interface OpenPullRequest {
  repository: string
  number: number
  title: string
  url: string
  author: string | null
  weight: number
  status: Status
  created_at: string
  first_review_at: string | null
  /** Null, like `waiting_hours`, if a review was dismissed. */
  status_since: string | null
  age_hours: number
  waiting_hours: number | null
  reviews: number
  reviewers: number
  size: number | null
}

export interface OpenSummary extends Record<Status, number> {
  open: number
  median_age_hours: number | null
  recently_merged: number
  median_cycle_time_hours: number | null
}

export interface OpenPullRequests extends Head {
  team: { id: string; name: string }
  summary: OpenSummary
  data: OpenPullRequest[]
}

export interface TeamFigures {
  team: { id: string; name: string }
  velocity: VelocityWeek[]
  lead_time: LeadTimeMonth[]
}

/** A metric of a team over the last 13 complete weeks, beside 13 earlier ones. */
export interface Trend {
  team_id: string
  team_name: string
  metric: 'merged_per_week' | 'lead_time_hours' | 'deployments_per_week' | 'change_lead_time_hours' | 'change_fail_rate'
  compared_with: 'quarter_before' | 'year_before'
  verdict: 'worse' | 'better' | 'as_usual' | 'too_little_data'
  current_value: number | null
  earlier_value: number | null
  sample_size: number
  earlier_sample_size: number
  first_week: string
  earlier_first_week: string
  /** The trend in words. */
  sentence: string
}

export interface Trends extends Head {
  data: Trend[]
}

/** All null for periods in which deployments were not measured. */
interface DeliveryFigures {
  deployments: number | null
  weighted_deployments: number | null
  deployment_days: number | null
  rollbacks: number | null
  changes_deployed: number | null
  weighted_changes_deployed: number | null
  median_change_lead_time_hours: number | null
  p95_change_lead_time_hours: number | null
  weighted_median_change_lead_time_hours: number | null
  weighted_p95_change_lead_time_hours: number | null
  median_deploy_hours: number | null
  avg_coding_hours: number | null
  avg_draft_hours: number | null
  avg_pickup_hours: number | null
  avg_review_hours: number | null
  avg_deploy_hours: number | null
  failed_deployments: number | null
  failed_by_incident: number | null
  failed_by_rollback: number | null
  failed_by_revert: number | null
  failed_by_hotfix: number | null
  failed_by_status: number | null
  change_fail_rate: number | null
  weighted_change_fail_rate: number | null
  rework_deployments: number | null
  deployment_rework_rate: number | null
  weighted_deployment_rework_rate: number | null
  failures_recovered: number | null
  median_recovery_hours: number | null
  weighted_median_recovery_hours: number | null
  failures_open: number | null
  is_complete: boolean
  is_settled: boolean
}

export interface DeliveryWeek extends DeliveryFigures {
  week: string
}

export interface DeliveryMonth extends DeliveryFigures {
  month: string
}

export interface TeamDelivery {
  team: { id: string; name: string }
  delivery_weekly: DeliveryWeek[]
  delivery_monthly: DeliveryMonth[]
}

export interface DeployedChange {
  repository: string
  number: number
  title: string
  url: string
  author: string | null
  weight: number
}

export interface LinkedIncident {
  title: string | null
  url: string | null
  severity: string | null
  started_at: string
  ended_at: string | null
}

export interface Deployment {
  deployment_id: string
  target: string
  repository: string
  is_proxy: boolean
  environment: string | null
  url: string | null
  commit_sha: string | null
  kind: 'deploy' | 'rollback'
  share: number
  deployed_at: string
  recovered_at: string | null
  recovery_hours: number | null
  is_failed: boolean
  failure_causes: string[]
  is_rework: boolean
  changes_added: number
  changes_withdrawn: number
  changes: DeployedChange[]
  incidents: LinkedIncident[]
}

export interface ReviewMonth {
  month: string
  prs_merged: number
  prs_reviewed: number
  unreviewed_share: number | null
  reviewers: number
  busiest_share: number | null
  median_hours_to_first_review: number | null
  is_complete: boolean
}

export interface Reviews extends Head {
  data: ReviewMonth[]
}

export interface Health {
  as_of: string | null
  /** Whether this is demo data. */
  demo?: boolean
}

/** Rows of the days `from` to `to`, both inclusive. */
export interface Listed<Row> extends Head {
  from: string
  to: string
  data: Row[]
}

/** The characters of a key; a browser refuses to send others in a header. */
const KEY = /^[\x21-\x7e]*$/
const WAIT_MS = 30_000

/** The most teams that the API compares in one request. */
const TEAMS_AT_ONCE = 20

/** The API returned an error, or did not respond (status 0). */
export class ApiError extends Error {
  readonly status: number
  readonly retrySeconds: number | null

  constructor(status: number, detail: string, retrySeconds: number | null = null) {
    super(detail)
    this.status = status
    this.retrySeconds = retrySeconds
  }

  /** Whether the same request may succeed later. */
  get isPassing(): boolean {
    return [0, 502, 503, 504].includes(this.status)
  }
}

export async function ask<T>(path: string, key = apiKey.value, signal?: AbortSignal): Promise<T> {
  if (key && !KEY.test(key)) throw refused('The API key contains an invalid character. Copy it again.', key)
  const response = await fetched(path, key, signal)
  if (response.ok) {
    return (await response.json().catch(() => {
      throw new ApiError(502, 'The response is not JSON. A proxy may have answered instead of the API.')
    })) as T
  }
  const problem = await response.json().catch(() => ({}))
  const detail = String(problem.detail ?? `The API returned status ${response.status}.`)
  const wait = Number(response.headers.get('Retry-After'))
  if (response.status === 401) throw refused(detail, key)
  throw new ApiError(response.status, detail, wait > 0 ? wait : null)
}

function refused(detail: string, key: string | null): ApiError {
  // Only if the refused key is still in use.
  if (key === apiKey.value) forgetKey(detail)
  return new ApiError(401, detail)
}

async function fetched(path: string, key: string | null, signal?: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = { Accept: 'application/json' }
  if (key) headers['X-API-Key'] = key
  try {
    // Relative to the page, which may be served below the path of a stage.
    const late = AbortSignal.timeout(WAIT_MS)
    return await fetch(path, { headers, signal: signal ? AbortSignal.any([signal, late]) : late })
  } catch (error) {
    if (signal?.aborted) throw error
    throw new ApiError(0, 'The API did not respond. Check that it is running and that this machine is online.')
  }
}

export const teams = (key = apiKey.value): Promise<Teams> => ask<Teams>('teams', key)

export const groups = (): Promise<Groups> => ask<Groups>('groups')

export const health = (): Promise<Health> => ask<Health>('health')

/** What changed for all teams, worst first. */
export const changes = (): Promise<Trends> => ask<Trends>('metrics/trends?verdict=worse&verdict=better')

export const trendsOf = (team: string): Promise<Trends> =>
  ask<Trends>(`metrics/trends?${new URLSearchParams({ team })}`)

interface Compared<Row> extends Head {
  data: Row[]
}

/** Fetch the weeks and months of teams, in this order. Teams in the same request are from one build. */
async function compared<Row>(teams: readonly string[], given: Record<string, string>): Promise<Compared<Row>> {
  const parts: Promise<Compared<Row>>[] = []
  for (let at = 0; at < teams.length; at += TEAMS_AT_ONCE) {
    const query = new URLSearchParams(teams.slice(at, at + TEAMS_AT_ONCE).map((team) => ['team', team]))
    for (const [name, value] of Object.entries(given)) query.set(name, value)
    parts.push(ask<Compared<Row>>(`metrics/compare?${query}`))
  }
  const answers = await Promise.all(parts)
  return { ...answers.at(-1)!, data: answers.flatMap((answer) => answer.data) }
}

export const figures = (teams: readonly string[], from?: string): Promise<Compared<TeamFigures>> =>
  compared(teams, from ? { from } : {})

export const deliveries = (teams: readonly string[], from?: string): Promise<Compared<TeamDelivery>> =>
  compared(teams, { figures: 'delivery', ...(from && { from }) })

/** Fetch all pages of a team's list. */
async function listed<Answer extends { data: unknown[] }>(
  team: string,
  list: string,
  given: Record<string, string>,
): Promise<Answer> {
  const found: unknown[] = []
  let page: Answer & { next_cursor?: string }
  let cursor: string | undefined
  do {
    const query = new URLSearchParams({ ...given, ...(cursor && { cursor }) })
    page = await ask(`metrics/team/${encodeURIComponent(team)}/${list}?${query}`)
    found.push(...page.data)
    cursor = page.next_cursor
  } while (cursor)
  return { ...page, data: found }
}

/** The pull requests merged on the days `from` to `to`, newest first. */
export const pullRequests = (team: string, from: string, to: string): Promise<Listed<PullRequest>> =>
  listed(team, 'pull-requests', { from, to, limit: '1000' })

/** The open pull requests, oldest first. */
export const openPullRequests = (team: string): Promise<OpenPullRequests> =>
  listed(team, 'pull-requests', { state: 'open', limit: '1000' })

/** How the pull requests merged in each month from `from` on were reviewed. */
export const reviews = (team: string, from: string): Promise<Reviews> =>
  ask<Reviews>(`metrics/team/${encodeURIComponent(team)}/reviews?${new URLSearchParams({ from })}`)

/** The deployments of the days `from` to `to`, newest first. */
export const deployments = (team: string, from: string, to: string): Promise<Listed<Deployment>> =>
  listed(team, 'deployments', { from, to, limit: '200' })
