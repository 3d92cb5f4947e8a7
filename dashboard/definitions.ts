import { readFileSync } from 'node:fs'

import type { Plugin } from 'vite'

const ID = 'virtual:definitions'

/** Provide the rows `| name | definition |` of docs/metrics.md by name, as the module `virtual:definitions`. */
export function definitions(path: string): Plugin {
  return {
    name: 'definitions',
    resolveId: (id) => (id === ID ? `\0${ID}` : undefined),
    load(id) {
      if (id !== `\0${ID}`) return undefined
      this.addWatchFile(path)
      return `export default ${JSON.stringify(read(readFileSync(path, 'utf8')))}`
    },
  }
}

function read(page: string): Record<string, string> {
  const found: Record<string, string> = {}
  for (const [, names, definition] of page.matchAll(/^\| (`.+?`(?:, `.+?`)*) \| (.+?) \|$/gm)) {
    for (const [, name] of names!.matchAll(/`(\w+)`/g)) found[name!] ??= definition!
  }
  return found
}
