// The snippets of the pages that need a server (```js redis) run as they stand, and print what they say.

import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { canRunRedis, RedisServer } from '../support/redisServers.ts'
import { promisedOutput } from '../support/snippets.ts'

const can = canRunRedis('snippets that need Redis')
const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/scale-out.md'), 'utf8')
const snippets = [...page.matchAll(/^```js redis\n(.*?)^```$/gms)].map(([, code = '']) => code)

describe.skipIf(!can)('docs/scale-out.md', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await RedisServer.start()
  })
  afterAll(() => server?.stop())

  it.each(snippets.map((code, index) => [index + 1, code] as const))('snippet %i', async (_, code) => {
    const here = code.replaceAll('localhost:6379', `127.0.0.1:${server.port}`)
    // Evaluated in the package's own folder, where it finds itself by name.
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', here], {
      cwd: root,
      timeout: 15_000,
    })
    for (const promised of promisedOutput({ name: '', language: 'js', code }))
      expect(stdout).toContain(promised)
  })
})
