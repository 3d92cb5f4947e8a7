declare module 'virtual:definitions' {
  /** What docs/metrics.md says of each figure, by the name of its column; Markdown. */
  const definitions: Record<string, string>
  export default definitions
}
