// What the environment says of proxies holds as for Node's own fetch: in a process of its own, for it is read at its start.

import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startServer } from '../support/misbehavingServer.ts'

const root = join(import.meta.dirname, '../..')

/** A proxy that passes on what it is asked for, whatever name is asked for, and how often it was asked. */
async function startProxy(target: number) {
  let asked = 0
  const proxy = createServer((_request, response) => {
    asked += 1
    response.end('through the proxy')
  })
  proxy.on('connect', (_request, socket) => {
    asked += 1
    const through = connect(target, '127.0.0.1', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'))
    through.pipe(socket).pipe(through)
    for (const each of [socket, through]) each.on('error', () => {})
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    proxy.closeAllConnections()
    proxy.close()
  })
  return { url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, asked: () => asked }
}

/** The status that one fetch ends with, or its failure. */
async function run(how: 'ours' | 'platform', url: string, env: Record<string, string>, flags: string[] = []) {
  const code = `
    import { ApiClient } from './src/ApiClient.ts'
    const client = new ApiClient({ retries: 0 })
    const send = ${how === 'ours' ? 'client.fetch' : 'fetch'}
    console.log(await send('${url}').then((r) => r.status, () => 'failed'))
    client.dispose()
    process.exit()`
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--conditions=guru-source', ...flags, '--input-type=module', '-e', code],
    { cwd: root, env: { PATH: process.env.PATH, ...env } },
  )
  return stdout.trim()
}

describe.each(['platform', 'ours'] as const)('proxies of the environment: %s', (how) => {
  it.each<[string, (proxy: string) => Record<string, string>, string[], boolean]>([
    ['NODE_USE_ENV_PROXY', (proxy) => ({ NODE_USE_ENV_PROXY: '1', HTTP_PROXY: proxy }), [], true],
    ['--use-env-proxy', (proxy) => ({ HTTP_PROXY: proxy }), ['--use-env-proxy'], true],
    ['NODE_OPTIONS', (proxy) => ({ NODE_OPTIONS: '--use-env-proxy', http_proxy: proxy }), [], true],
    ['HTTP_PROXY alone', (proxy) => ({ HTTP_PROXY: proxy }), [], false],
    [
      'NO_PROXY',
      (proxy) => ({ NODE_USE_ENV_PROXY: '1', HTTP_PROXY: proxy, NO_PROXY: 'made-up.invalid' }),
      [],
      false,
    ],
  ])('%s', async (_name, env, flags, proxied) => {
    const server = await startServer((_request, response) => response.end('hello'))
    onTestFinished(() => server.close())
    const proxy = await startProxy(server.port)
    const outcome = await run(how, 'http://made-up.invalid/', env(proxy.url), flags)
    expect([outcome, proxy.asked()]).toEqual(proxied ? ['200', 1] : ['failed', 0])
  })
})
