import all from 'virtual:definitions'

export interface Piece {
  text: string
  isCode: boolean
}

/** The definition of a figure in docs/metrics.md, docs/open.md or docs/reviews.md, in pieces of prose and code. */
export function definition(name: string): Piece[] {
  return (all[name] ?? '')
    .split('`')
    .map((text, at) => ({ text, isCode: at % 2 === 1 }))
    .filter((piece) => piece.text)
}
