/** The statuses of open pull requests, in the order in which the dashboard lists them. */
export const STATUSES = ['waiting_for_review', 'changes_requested', 'approved', 'draft'] as const
export type Status = (typeof STATUSES)[number]

export const STATUS_NAMES: Record<Status, string> = {
  waiting_for_review: 'Waiting for review',
  changes_requested: 'Changes requested',
  approved: 'Approved, not merged',
  draft: 'Draft',
}
