// An empty page that has one module of the built package on its `window`, bundled as for browsers.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { build } from 'vite'

export interface ModulePage {
  readonly url: string
  close(): Promise<void>
}

const PAGE = `<!doctype html><title>test</title><body><script type="module">
  import * as it from '/module.js'
  Object.assign(window, it)
  document.body.className = 'loaded'
</script>`

/** @param entry a file of `dist` */
export async function serveModule(entry: string): Promise<ModulePage> {
  const result = await build({
    logLevel: 'silent',
    configFile: false,
    build: {
      write: false,
      minify: false,
      target: 'es2023',
      lib: { entry: join(import.meta.dirname, '../../dist', entry), formats: ['es'] },
    },
  })
  const [output] = [result].flat().flatMap((part) => ('output' in part ? part.output : []))
  const code = output?.type === 'chunk' ? output.code : ''
  const server = createServer((request, response) => {
    const script = request.url === '/module.js'
    response.writeHead(200, { 'content-type': script ? 'text/javascript' : 'text/html' })
    response.end(script ? code : PAGE)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
