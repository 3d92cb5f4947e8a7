import { readFileSync } from 'node:fs'

import type { Plugin } from 'vite'

const ID = 'virtual:definitions'

/** Provide the rows `| name | definition |` of pages by name, as the module `virtual:definitions`. */
export function definitions(paths: string[]): Plugin {
  return {
    name: 'definitions',
    resolveId: (id) => (id === ID ? `\0${ID}` : undefined),
    load(id) {
      if (id !== `\0${ID}`) return undefined
      for (const path of paths) this.addWatchFile(path)
      const pages = paths.map((path) => readFileSync(path, 'utf8')).join('\n')
      return `export default ${JSON.stringify(read(pages))}`
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
