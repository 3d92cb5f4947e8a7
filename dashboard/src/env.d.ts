declare module 'virtual:definitions' {
  /** The definition of each figure in docs/metrics.md, by column name; Markdown. */
  const definitions: Record<string, string>
  export default definitions
}
