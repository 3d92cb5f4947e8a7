import type { GroupOverview, TeamOverview } from './api.ts'
import { counted } from './format.ts'

/** The groups as entries like the teams, which come after them: All teams first. */
export function withGroups(groups: readonly GroupOverview[], teams: readonly TeamOverview[]): TeamOverview[] {
  // A single team is the same as all teams.
  const shown = teams.length > 1 ? [...groups] : []
  shown.sort((one, other) => Number(other.id === 'all') - Number(one.id === 'all'))
  return [...shown.map((group) => asTeam(group, teams)), ...teams]
}

function asTeam({ id, name, teams: ids }: GroupOverview, teams: readonly TeamOverview[]): TeamOverview {
  const within = teams.filter((team) => ids.includes(team.id))
  // A person may be in several teams.
  const members = within
    .flatMap((team) => team.members)
    .map((member) => [member.github_username.toLowerCase(), member] as const)
  return { id, name, description: counted(within.length, 'team'), members: [...new Map(members).values()], isGroup: true }
}
