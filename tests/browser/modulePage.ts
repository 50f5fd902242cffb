// An empty page that has modules of the built package on its `window`, bundled as for browsers.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'vite'

export interface ModulePage {
  readonly url: string
  /** What serves it; it may serve WebSockets, too. */
  readonly server: Server
  close(): Promise<void>
}

const PAGE = `<!doctype html><title>test</title><body><script type="module">
  import * as it from '/module.js'
  Object.assign(window, it)
  document.body.className = 'loaded'
</script>`

/** The chunks, by the path they are loaded from. @param entries files of `dist` */
async function bundle(entries: readonly string[]): Promise<Map<string, string>> {
  const folder = mkdtempSync(join(tmpdir(), 'guru-page-'))
  try {
    const entry = join(folder, 'module.js')
    const paths = entries.map((name) => JSON.stringify(join(import.meta.dirname, '../../dist', name)))
    writeFileSync(entry, paths.map((path) => `export * from ${path}\n`).join(''))
    const result = await build({
      logLevel: 'silent',
      configFile: false,
      build: {
        write: false,
        minify: false,
        target: 'es2023',
        lib: { entry, formats: ['es'], fileName: 'module' },
      },
    })
    const chunks = [result].flat().flatMap((part) => ('output' in part ? part.output : []))
    return new Map(
      chunks.flatMap((chunk) => (chunk.type === 'chunk' ? [[`/${chunk.fileName}`, chunk.code]] : [])),
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

export async function serveModules(...entries: string[]): Promise<ModulePage> {
  const chunks = await bundle(entries)
  const server = createServer((request, response) => {
    const code = chunks.get(request.url ?? '')
    response.writeHead(200, { 'content-type': code ? 'text/javascript' : 'text/html' })
    response.end(code ?? PAGE)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    server,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
