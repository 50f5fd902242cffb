// The HTTP side of the backend, on real sockets.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { request as ask } from 'undici'
import { afterEach, describe, expect, it } from 'vitest'
import { rawSocket } from '../../tests/support/backendClients.ts'
import { until } from '../../tests/support/misbehavingServer.ts'
import { MemorySessionStore } from '../testing/MemorySessionStore.ts'
import { VirtualClock } from '../testing/VirtualClock.ts'
import { type Backend, createBackend } from './createBackend.ts'
import type { BackendOptions } from './options.ts'

let backend: Backend
const start = async (options: BackendOptions = {}) => {
  backend = await createBackend({ port: 0, ...options })
  return backend
}
afterEach(() => backend.close({ graceMs: 0 }))

type Asked = { method?: string; headers?: Record<string, string>; body?: string }
const call = async (path: string, options: Asked = {}) => {
  const { statusCode, headers, body } = await ask(`${backend.url}${path}`, options as never)
  const text = await body.text()
  return { status: statusCode, headers, body: text === '' ? undefined : JSON.parse(text) }
}
const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  call(path, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body), headers })

describe('the HTTP API', () => {
  it('says that it is well', async () => {
    await start()
    expect(await call('/v1/health')).toMatchObject({ status: 200, body: { status: 'ok' } })
    expect(await call('/v1/health?at=1')).toMatchObject({ status: 200 })
  })

  it('says that clients should not come while it, or what it stands on, is not ready', async () => {
    let ready: unknown = true
    let stored = true
    const store = Object.assign(new MemorySessionStore(), { isReady: () => stored })
    const isReady = async () => {
      if (ready === 'throws') throw new Error('no')
      return ready as boolean
    }
    await start({ isReady, store })
    const statuses: number[] = []
    for (const [own, engine] of [
      [true, true],
      [false, true],
      [true, false],
      ['throws', true],
      [true, true],
    ] as const) {
      ready = own
      stored = engine
      statuses.push((await call('/v1/health')).status)
    }
    expect(statuses).toEqual([200, 503, 503, 503, 200])
  })

  it('lists its models', async () => {
    await start({ models: [{ id: 'm', name: 'A model' }] })
    expect((await call('/v1/models')).body).toEqual({ models: [{ id: 'm', name: 'A model' }] })
  })

  it('keeps settings, in a file when asked', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'guru-backend-'))
    const settingsFile = join(folder, 'settings.json')
    try {
      await start({ settingsFile })
      expect((await call('/v1/settings')).body).toEqual({})
      expect((await post('/v1/settings', { voice: 'calm' })).body).toEqual({ voice: 'calm' })
      await post('/v1/settings', { speed: 2 })
      await backend.close({ graceMs: 0 })
      expect(JSON.parse(readFileSync(settingsFile, 'utf8'))).toEqual({ voice: 'calm', speed: 2 })
      await start({ settingsFile })
      expect((await call('/v1/settings')).body).toEqual({ voice: 'calm', speed: 2 })
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('answers HEAD without a body, and OPTIONS with what is possible', async () => {
    await start()
    expect(await call('/v1/health', { method: 'HEAD' })).toMatchObject({ status: 200, body: undefined })
    const options = await call('/v1/settings', { method: 'OPTIONS' })
    expect(options).toMatchObject({ status: 204, headers: { allow: 'OPTIONS, GET, HEAD, POST' } })
  })

  it.each([
    ['POST', '/v1/health', 405],
    ['DELETE', '/v1/settings', 405],
    ['GET', '/api/stop-generation', 405],
    ['GET', '/nowhere', 404],
    ['GET', '/__proto__', 404],
    ['GET', '/__faults', 404],
    ['GET', '/ws', 404],
  ])('%s %s is answered %i with a reason', async (method, path, status) => {
    await start()
    const answer = await call(path, { method })
    expect(answer.status).toBe(status)
    expect(answer.body.error).toBeTypeOf('string')
  })

  it.each([
    ['no JSON', '{ half', 400],
    ['no object', '[1]', 400],
    ['null', 'null', 400],
    ['nothing', '', 400],
    ['keys of the prototype', '{"a":{"__proto__":{"admin":true}}}', 400],
    ['a constructor', '{"constructor":{"prototype":{}}}', 400],
    ['nesting without end', `${'['.repeat(100_000)}${']'.repeat(100_000)}`, 400],
    ['too much', JSON.stringify({ a: 'x'.repeat(2 ** 20) }), 413],
  ])('settings that are %s are refused, and nothing is changed', async (_what, body, status) => {
    await start()
    expect((await post('/v1/settings', body)).status).toBe(status)
    expect((await call('/v1/settings')).body).toEqual({})
    expect(({} as { admin?: boolean }).admin).toBeUndefined()
  })

  it('a body that is too large is told so while it is still being sent, whether it said its length or not', async () => {
    await start({ maxBodyBytes: 1000 })
    for (const framing of ['Content-Length: 3000000', 'Transfer-Encoding: chunked']) {
      const { socket, text } = await rawSocket(
        backend.port,
        `POST /v1/settings HTTP/1.1\r\nHost: 127.0.0.1\r\n${framing}\r\n\r\n`,
      )
      const chunk = 'x'.repeat(64 * 1024)
      for (let sent = 0; sent < 40; sent += 1) {
        socket.write(framing.startsWith('Transfer') ? `10000\r\n${chunk}\r\n` : chunk)
      }
      await until(() => text().includes('HTTP/1.1 413'), 'the refusal arrives')
      socket.destroy()
    }
  })

  it('a handler of the app answers other paths; one that throws is a 500 that tells nothing', async () => {
    const logged: unknown[] = []
    const log = () => {}
    await start({
      logger: { debug: log, info: log, warn: log, error: (...parts: unknown[]) => logged.push(parts) },
      onRequest: (request, response) => {
        if (request.url === '/throws') throw new Error('secret detail')
        if (request.url !== '/mine') return false
        response.end('"here"')
        return true
      },
    })
    expect((await call('/mine')).body).toBe('here')
    expect((await call('/other')).status).toBe(404)
    expect(await call('/throws')).toMatchObject({ status: 500, body: { error: 'internal error' } })
    expect(logged).toHaveLength(1)
  })
})

describe('pages of other origins', () => {
  const allowed = 'https://app.example'

  it('an allowed one may read, and is told what it may send', async () => {
    await start({ allowedOrigins: [allowed] })
    const answer = await call('/v1/health', { headers: { origin: allowed } })
    expect(answer).toMatchObject({
      status: 200,
      headers: { 'access-control-allow-origin': allowed, vary: 'origin' },
    })
    const preflight = await call('/v1/settings', {
      method: 'OPTIONS',
      headers: {
        origin: allowed,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type, idempotency-key',
      },
    })
    expect(preflight).toMatchObject({
      status: 204,
      headers: {
        'access-control-allow-origin': allowed,
        'access-control-allow-headers': 'content-type, idempotency-key',
      },
    })
    expect(preflight.headers['access-control-allow-methods']).toContain('POST')
  })

  it('any other is refused before anything is done', async () => {
    await start({ allowedOrigins: [allowed] })
    const answer = await post('/v1/settings', { voice: 'evil' }, { origin: 'https://evil.example' })
    expect(answer.status).toBe(403)
    expect(answer.headers).not.toHaveProperty('access-control-allow-origin')
    expect((await call('/v1/settings')).body).toEqual({})
  })

  it('a name that somebody else points at this machine is not served', async () => {
    await start()
    const { text, socket } = await rawSocket(
      backend.port,
      'GET /v1/settings HTTP/1.1\r\nHost: evil.example\r\n\r\n',
    )
    await until(() => text().includes('HTTP/1.1 403'), 'the refusal arrives')
    socket.destroy()
  })
})

describe('authentication', () => {
  const authenticate: BackendOptions['authenticate'] = ({ headers: { authorization } }) => {
    if (authorization === 'Bearer broken') throw new Error('the user store is down')
    return authorization === 'Bearer right' ? 'ada' : undefined
  }

  it('lets in who is known; health is for everyone', async () => {
    await start({ authenticate, onRequest: () => true })
    expect((await call('/v1/models', { headers: { authorization: 'Bearer right' } })).status).toBe(200)
    expect((await call('/v1/models')).status).toBe(401)
    expect((await call('/v1/models', { headers: { authorization: 'Bearer broken' } })).status).toBe(401)
    expect((await call('/of-the-app')).status).toBe(401)
    expect((await call('/v1/health')).status).toBe(200)
  })

  it('an answer that does not come is a 503 in time', async () => {
    const clock = new VirtualClock()
    await start({ authenticate: () => new Promise(() => {}), clock })
    const answer = call('/v1/models')
    await until(() => clock.pending > 0, 'somebody is looked up')
    await clock.advance(10_000)
    expect((await answer).status).toBe(503)
    expect(clock.pending).toBe(0)
  })
})

describe('hostile clients', () => {
  it.each([
    ['no HTTP at all', '\x16\x03\x01\x02\x00garbage\r\n\r\n', /^HTTP\/1\.1 400 /],
    [
      'a header without end',
      `GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ${'x'.repeat(20_000)}`,
      /^HTTP\/1\.1 431 /,
    ],
    [
      'two lengths',
      'POST /v1/settings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      /^HTTP\/1\.1 400 /,
    ],
    ['no host', 'GET /v1/health HTTP/1.1\r\n\r\n', /^HTTP\/1\.1 400 /],
  ])('%s', async (_what, bytes, answer) => {
    await start()
    const { text, socket } = await rawSocket(backend.port, bytes)
    await until(() => answer.test(text()), `an answer like ${answer}, got ${text()}`)
    socket.destroy()
    expect((await call('/v1/health')).status).toBe(200)
  })

  it.each([
    ['head', 'GET /v1/health HTTP/1.1\r\nHost:'],
    ['body', 'POST /v1/settings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\n{'],
    ['first byte', ''],
  ])('who never ends the %s of a request is sent away', async (_part, bytes) => {
    await start({ requestTimeout: 200 })
    const { text, socket } = await rawSocket(backend.port, bytes)
    await until(() => text().includes('HTTP/1.1 408') || socket.readableEnded, 'the server gives up')
    expect(text()).toContain('408')
    socket.destroy()
  })

  it('has no more sockets of one address than it may', async () => {
    await start({ maxConnectionsPerAddress: 2 })
    const sockets = await Promise.all(Array.from({ length: 8 }, () => rawSocket(backend.port, '')))
    const cut = () => sockets.filter(({ socket }) => socket.readableEnded || socket.destroyed).length
    await until(() => cut() === 4, 'four of eight are cut')
    for (const { socket } of sockets) socket.destroy()
    // Once the server has noticed that they are gone, there is room again.
    let status: number | undefined
    while (status !== 200)
      status = await call('/v1/health').then(
        (answer) => answer.status,
        () => undefined,
      )
  })
})

describe('options', () => {
  it.each([
    [{ port: -1 }, RangeError, 'createBackend: option "port" must be a whole number from 0 to 65535, got -1'],
    [{ port: '8000' }, TypeError, /"port".*got "8000"/],
    [{ responder: {} }, TypeError, /"responder" must be an object with respond/],
    [{ maxPayload: 0 }, RangeError, /"maxPayload" must be a whole number of bytes/],
    [{ allowedOrigins: 'https://app.example' }, TypeError, /"allowedOrigins" must be an array/],
    [{ pingInterval: 0 }, RangeError, /"pingInterval" must be a number of milliseconds >= 1, got 0/],
    [{ Faults: true }, TypeError, /"Faults" must be spelt "faults"/],
  ])('%j is refused', async (options, kind, message) => {
    await start()
    const wrong = createBackend(options as never)
    await expect(wrong).rejects.toThrow(kind)
    await expect(wrong).rejects.toThrow(message)
  })

  it('a port that is taken is told as such', async () => {
    await start()
    await expect(createBackend({ port: backend.port })).rejects.toMatchObject({ code: 'EADDRINUSE' })
  })
})
