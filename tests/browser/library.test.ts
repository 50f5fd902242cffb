// The library itself in a real browser: its browser build, the platform's own fetch and WebSocket.

import { join } from 'node:path'
import { type Backend, createBackend } from 'guru-comms/server'
import type { Browser, Page } from 'playwright-core'
import { build } from 'vite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findChromium, PATIENCE_MS, sharedBrowser } from './chromium.ts'

const executablePath = findChromium('the library in a browser')

const PAGE = `<!doctype html><title>test</title><body><script type="module">
  import * as it from '/guru.js'
  Object.assign(window, it)
  document.body.className = 'loaded'
</script>`

/** `.` as bundlers for browsers make it: `guru.js`, and the parts that it loads when they are used, by path. */
async function bundle(): Promise<Map<string, string>> {
  const entry = join(import.meta.dirname, '../../dist/index.js')
  const result = await build({
    logLevel: 'silent',
    configFile: false,
    build: {
      write: false,
      minify: false,
      target: 'es2023',
      lib: { entry, formats: ['es'], fileName: () => 'guru.js' },
    },
  })
  const output = [result].flat().flatMap((part) => ('output' in part ? part.output : []))
  return new Map(output.flatMap((item) => (item.type === 'chunk' ? [[`/${item.fileName}`, item.code]] : [])))
}

describe.skipIf(executablePath === undefined)('guru-comms in Chromium', () => {
  let browser: Browser
  let backend: Backend
  let page: Page

  beforeAll(async () => {
    const files = await bundle()
    backend = await createBackend({
      port: 0,
      faults: true,
      onRequest(request, response) {
        const script = files.get(request.url ?? '')
        response.writeHead(200, { 'content-type': script ? 'text/javascript' : 'text/html' })
        response.end(script ?? PAGE)
        return true
      },
    })
    browser = await sharedBrowser(executablePath as string)
    page = await browser.newPage()
    page.setDefaultTimeout(PATIENCE_MS)
    await page.goto(`${backend.url}/page`)
    await page.locator('body.loaded').waitFor({ state: 'attached' })
  })
  afterAll(async () => {
    await page?.context().close()
    await backend?.close({ graceMs: 0 })
  })

  it('ApiClient speaks through fetch: bodies, typed errors, limits', async () => {
    const result = await page.evaluate(async () => {
      const { ApiClient } = window as unknown as typeof import('guru-comms')
      // So slow a bucket that none of the burst gets a token that was not there from the start.
      const limits = { api: { tokensPerSecond: 0.01, burstCapacity: 30 } }
      const client = new ApiClient({ baseURL: location.origin, rateLimiterOptions: { limits } })
      const settings = await client.post('/v1/settings', { voice: 'calm' })
      const missing = await client
        .get('/api/stop-generation')
        .catch((error) => ({ name: error.name, status: error.status }))
      const burst = await Promise.allSettled(Array.from({ length: 40 }, () => client.get('/v1/health')))
      client.dispose()
      return { settings, missing, refused: burst.filter((call) => call.status === 'rejected').length }
    })
    expect(result).toEqual({
      settings: { voice: 'calm' },
      missing: { name: 'ApiError', status: 405 },
      refused: 10,
    })
  })

  it('ApiClient loads what is used: fetch, interceptors, schemas, waiting', async () => {
    const result = await page.evaluate(async () => {
      const { ApiClient } = window as unknown as typeof import('guru-comms')
      const client = new ApiClient({
        baseURL: location.origin,
        rateLimitMode: 'wait',
        rateLimiterOptions: { limits: { api: { tokensPerSecond: 100, burstCapacity: 1 } } },
      })
      const waited = await Promise.all([1, 2, 3].map(() => client.get('/v1/health')))
      const response = await client.fetch('/v1/health')
      const fetched = [response.status, await response.json()]
      client.addResponseInterceptor(({ status, data }) => [status, data])
      const intercepted = await client.get('/v1/health')
      const schema = {
        '~standard': { version: 1, vendor: 'test', validate: () => ({ issues: [{ message: 'no' }] }) },
      } as const
      const refused = await client.get('/v1/health', { schema }).catch((error) => error.code)
      client.dispose()
      return { waited, fetched, intercepted, refused }
    })
    const health = { status: 'ok' }
    expect(result).toEqual({
      waited: [health, health, health],
      fetched: [200, health],
      intercepted: [200, health],
      refused: 'SCHEMA_MISMATCH',
    })
  })

  it('GuruConnection speaks through WebSocket: a cut, a queue, a reply', async () => {
    const result = await page.evaluate(async () => {
      const { GuruConnection } = window as unknown as typeof import('guru-comms')
      const connection = new GuruConnection({
        url: `${location.origin}/ws`,
        reconnectDelay: 20,
        healthInterval: 50,
      })
      const states: string[] = []
      connection.on('connectionState', (state) => states.push(state))
      connection.on('error', () => {})
      await new Promise((resolve) => connection.once('open', () => resolve(undefined)))
      const lost = new Promise((resolve) => connection.once('disconnected', resolve))
      await fetch('/__faults', { method: 'POST', body: '{"cut":true}' })
      await lost
      connection.send({ role: 'user', type: 'message', id: 'q', content: 'hello', timestamp: 0 })
      let answer = ''
      for await (const message of connection) {
        const { content, end } = message as { content?: string; end?: boolean }
        answer += content ?? ''
        if (end) break
      }
      connection.dispose()
      return { answer, states }
    })
    expect(result.answer).toBe('You said: hello')
    expect(result.states.slice(0, 4)).toEqual(['connecting', 'open', 'waiting', 'connecting'])
  })

  it('Endpoint asks and is answered', async () => {
    const result = await page.evaluate(async () => {
      const { Endpoint } = window as unknown as typeof import('guru-comms')
      const endpoint = new Endpoint({ WS_URL: `${location.origin}/ws`, API_BASE_URL: location.origin })
      const text = await endpoint.ask('in a browser').text()
      const health = await endpoint.getHealth()
      endpoint.dispose()
      return { text, health }
    })
    expect(result).toEqual({ text: 'You said: in a browser', health: { status: 'ok' } })
  })
})
