import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import vue from '@vitejs/plugin-vue'
import { defineConfig, type Plugin } from 'vite'

import { definitions } from './definitions.ts'

/** Emit the licence of the font; `build.license` covers only code. */
function fontLicence(): Plugin {
  const path = './node_modules/@fontsource-variable/inter/LICENSE'
  return {
    name: 'font-licence',
    generateBundle() {
      const source = readFileSync(new URL(path, import.meta.url), 'utf-8')
      this.emitFile({ type: 'asset', fileName: 'assets/inter-licence.txt', source })
    },
  }
}

const pages = ['metrics', 'reviews', 'open'].map((name) => fileURLToPath(new URL(`../docs/${name}.md`, import.meta.url)))

export default defineConfig({
  // Relative, because the page may be served below the path of an API Gateway stage.
  base: './',
  plugins: [vue(), definitions(pages), fontLicence()],
  build: {
    // All of these support light-dark() and <dialog>; nothing is transpiled for older browsers.
    target: ['chrome123', 'edge123', 'firefox120', 'safari17.5'],
    // The Content-Security-Policy forbids data: URLs for scripts, styles and fonts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    license: { fileName: 'licenses.md' },
    rolldownOptions: {
      input: ['index.html', 'docs.html', '404.html'],
      // A warning about a slow machine does not help the user.
      checks: { bundlerTimings: false },
    },
  },
  server: {
    proxy: {
      '^/(health|teams|groups|metrics|openapi.json)': process.env.DORA_API ?? 'http://127.0.0.1:8000',
    },
  },
})
