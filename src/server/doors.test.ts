// Every door of a server, tried with every kind of wrong answer of the app behind it: HTTP routes, plain WebSockets, and
// guru.v1 in the backend, on an HTTP server and on a server of `ws`. Nobody gets in by accident, and nobody gets the
// process down.

import { createServer } from 'node:http'
import { request as ask } from 'undici'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { WebSocketServer } from 'ws'
import { RawClient, rawSocket, upgradeHead } from '../../tests/support/backendClients.ts'
import { FrameClient } from '../../tests/support/frameClient.ts'
import { booby, nobodies } from '../../tests/support/hostileValues.ts'
import { until } from '../../tests/support/misbehavingServer.ts'
import type { Logger } from '../core/logger.ts'
import type { SessionStore } from '../session/store.ts'
import { createBackend } from './createBackend.ts'
import { SessionServer } from './SessionServer.ts'
import type { SessionServerOptions } from './sessionServerOptions.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  vi.restoreAllMocks()
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function logging() {
  const lines: string[] = []
  const log = (...parts: unknown[]) =>
    lines.push(parts.map((part) => (typeof part === 'string' ? part : '?')).join(' '))
  return { lines, logger: { debug: () => {}, info: log, warn: log, error: log } satisfies Logger }
}

/** Servers by name; each starts with the options and gives its port. */
const servers = {
  async backend(options: SessionServerOptions & Parameters<typeof createBackend>[0]) {
    const backend = await createBackend({ ...(options as Parameters<typeof createBackend>[0]), port: 0 })
    cleanups.push(() => backend.close({ graceMs: 0 }))
    return backend.port
  },
  async 'sessions on node:http'(options: SessionServerOptions) {
    const http = createServer()
    return listen(http, new SessionServer(options), (sessions) => sessions.attach(http))
  },
  async 'sessions on ws'(options: SessionServerOptions) {
    const http = createServer()
    const webSockets = new WebSocketServer({ server: http })
    return listen(http, new SessionServer(options), (sessions) => sessions.attach(webSockets))
  },
  async 'sessions by hand'(options: SessionServerOptions) {
    const http = createServer()
    return listen(http, new SessionServer(options), (sessions) =>
      http.on('upgrade', (request, socket, head) => sessions.handleUpgrade(request, socket, head)),
    )
  },
}

async function listen(
  http: ReturnType<typeof createServer>,
  sessions: SessionServer,
  attach: (sessions: SessionServer) => unknown,
): Promise<number> {
  sessions.onSession((session) => session.handle(() => {}))
  attach(sessions)
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  cleanups.push(async () => {
    await sessions.close({ graceMs: 0 })
    http.closeAllConnections()
    await new Promise((resolve) => http.close(resolve))
  })
  return (http.address() as { port: number }).port
}

const allServers = Object.entries(servers)
const status = async (port: number, path = '/v1/models', headers = {}, method = 'GET') => {
  const answer = await ask(`http://127.0.0.1:${port}${path}`, { headers, method })
  return { status: answer.statusCode, headers: answer.headers, body: await answer.body.text() }
}

/** Comes in by guru.v1; the close code, or 'in'. */
async function session(port: number, options: ConstructorParameters<typeof FrameClient>[1] = {}) {
  const client = new FrameClient(port, options)
  client.socket.on('open', () => client.say({ t: 'open', auth: 'token' }))
  const outcome = () => client.refused ?? client.closed?.code ?? (client.control('opened') && 'in')
  await until(() => outcome() !== undefined, 'it is in, or refused')
  client.socket.terminate()
  return outcome()
}

async function plain(port: number, options: ConstructorParameters<typeof RawClient>[1] = {}) {
  const client = new RawClient(port, options)
  const outcome = () =>
    client.refused ?? (client.closed ? 'cut' : client.socket.readyState === WebSocket.OPEN && 'in')
  await until(() => outcome() !== false, 'it is in, or refused')
  const came = outcome()
  client.socket.terminate()
  return came
}

describe('nobody gets in by accident', () => {
  it.each(nobodies)('authenticate gives %s: refused at every door', async (_what, give) => {
    const { lines, logger } = logging()
    const authenticate = give as never
    const port = await servers.backend({ authenticate, logger })
    const routes = ['/v1/models', '/v1/settings', '/api/stop-generation', '/nowhere'].map((path) =>
      status(port, path, {}, path.startsWith('/api') ? 'POST' : 'GET'),
    )
    // A path that is not there is not asked for: there is no `onRequest`.
    expect((await Promise.all(routes)).map((answer) => answer.status)).toEqual([401, 401, 401, 404])
    expect(await plain(port)).toBe(401)
    expect(await session(port)).toBe(4401)
    expect((await status(port, '/v1/health')).status).toBe(200)
    for (const [name, start] of allServers) {
      if (name !== 'backend')
        expect([name, await session(await start({ authenticate }))]).toEqual([name, 4401])
    }
    expect(lines.some((line) => line.includes('"authenticate"'))).toBe(true)
  })

  it('a string lets in, at every door', async () => {
    const authenticate = async () => 'ada'
    const port = await servers.backend({ authenticate })
    expect((await status(port)).status).toBe(200)
    expect(await plain(port)).toBe('in')
    for (const [, start] of allServers) expect(await session(await start({ authenticate }))).toBe('in')
  })
})

describe('the code of the app is fenced', () => {
  const stays = async (port: number) => {
    expect((await status(port, '/v1/health')).status).toBe(200)
    expect(await session(port)).toBe('in')
  }

  it.each(booby)('onRequest gives %s', async (_what, make) => {
    const port = await servers.backend({ onRequest: make as never })
    const answer = await status(port, '/mine')
    expect([404, 500]).toContain(answer.status)
    expect(JSON.parse(answer.body)).toHaveProperty('error')
    await stays(port)
  })

  it('onRequest that writes after its end, or answers and says nothing, is heard once', async () => {
    const { lines, logger } = logging()
    const port = await servers.backend({
      logger,
      onRequest: ((_request: unknown, response: import('node:http').ServerResponse) => {
        response.end('mine')
        response.write('more')
      }) as never,
    })
    expect(await status(port, '/mine')).toMatchObject({ status: 200, body: 'mine' })
    await stays(port)
    expect(lines.join()).toContain('a response:')
  })

  it.each(booby)('a logger gives %s', async (_what, make) => {
    const logger = { debug: make, info: make, warn: make, error: make } as unknown as Logger
    const fails = () => {
      throw new Error('no')
    }
    const port = await servers.backend({ logger, onRequest: fails, allowedHosts: ['127.0.0.1'] })
    expect((await status(port, '/mine')).status).toBe(500)
    expect((await status(port, '/', { host: 'evil.example' })).status).toBe(403)
    expect(await plain(port, { origin: 'https://evil.example' })).toBe(403)
    await stays(port)
    for (const [name, start] of allServers) {
      const other = await start({ logger, authenticate: fails })
      expect([name, await session(other)]).toEqual([name, 4401])
    }
  })

  it.each(booby)('addressOf gives %s: the socket counts', async (_what, make) => {
    const { lines, logger } = logging()
    for (const [name, start] of allServers) {
      if (name === 'backend') continue
      const port = await start({ addressOf: make as never, maxConnectionsPerAddress: 1, logger })
      expect([name, await session(port)]).toEqual([name, 'in'])
    }
    expect(lines.join()).toContain('addressOf')
  })

  it.each(booby)('plain gives %s', async (_what, make) => {
    const taken: boolean[] = []
    const port = await servers['sessions on node:http']({
      plain: (_request, socket) => {
        taken.push(true)
        socket.destroy()
        return make() as never
      },
    })
    expect(await plain(port)).toBe('cut')
    expect(await session(port)).toBe('in')
    expect(taken).toEqual([true])
  })

  it.each(booby)('onSession and the handlers give %s', async (_what, make) => {
    // An `error` listener that fails is told here: there is nobody else left to tell.
    vi.spyOn(console, 'error').mockImplementation(() => {})
    for (const late of [false, true]) {
      const http = createServer()
      const errors: unknown[] = []
      const sessions = new SessionServer()
      sessions.on('error', (error) => {
        errors.push(error)
        return make()
      })
      let first = true
      const port = await listen(http, sessions, () => {
        sessions.onSession((made) => {
          for (const name of ['message', 'volatile', 'connected', 'disconnected', 'error'] as const)
            made.on(name, make)
          made.handle(make)
          if (first && !late) {
            first = false
            return make() as never
          }
          return undefined
        })
        sessions.attach(http)
      })
      await session(port)
      const client = new FrameClient(port)
      await client.open()
      client.say('1:x', ':y', '2:z')
      await until(() => client.control('ack')?.rx === 2, 'both are handled')
      client.socket.terminate()
      expect(await session(port)).toBe('in')
    }
  })

  it.each(booby)('a responder gives %s: the question ends with an error', async (_what, make) => {
    const port = await servers.backend({ responder: { respond: make as never } })
    const user = await new RawClient(port).opened()
    user.ask('q')
    await user.answer('q')
    expect(user.heard.at(-1)).toMatchObject({ request_id: 'q', end: true, error: { code: 'FAILED' } })
    user.socket.terminate()
    await stays(port)
  })
})

describe('refusals tell both sides', () => {
  it('over HTTP in JSON, upgrades included; in the log with the option', async () => {
    const { lines, logger } = logging()
    const port = await servers.backend({ logger, maxConnectionsPerAddress: 1, maxBodyBytes: 10 })
    const answers = [
      await rawSocket(port, upgradeHead('/ws', 'Origin: https://evil.example\r\n')),
      await rawSocket(port, upgradeHead('/ws').replace('127.0.0.1', 'evil.example')),
      await rawSocket(port, upgradeHead('/nowhere')),
    ]
    for (const { text } of answers)
      await until(() => /\{"error":"[^"]+"\}$/.test(text()), 'a reason is given')
    expect(answers.map(({ text }) => text().slice(9, 12))).toEqual(['403', '403', '404'])
    for (const { text, socket } of answers) {
      expect(text()).toContain('content-type: application/json')
      socket.destroy()
    }
    const [kept] = [await new RawClient(port).opened()]
    expect(await plain(port)).toBe(429)
    kept?.socket.terminate()
    await ask(`http://127.0.0.1:${port}/v1/settings`, { method: 'POST', body: '{"a":"bcdefgh"}' })
    for (const option of ['allowedOrigins', 'allowedHosts', 'maxConnectionsPerAddress', 'maxBodyBytes'])
      expect(lines.filter((line) => line.startsWith('refused') && line.includes(`"${option}"`))).toHaveLength(
        1,
      )
  })

  it.each(allServers.filter(([name]) => name !== 'backend'))('%s', async (_name, start) => {
    const { lines, logger } = logging()
    const port = await start({ logger, maxConnections: 1 })
    expect([403, 1008]).toContain(await session(port, { origin: 'https://evil.example' }))
    expect([403, 1008]).toContain(await session(port, { headers: { host: 'evil.example' } }))
    const kept = new FrameClient(port)
    await kept.open()
    expect(await session(port)).toBe(4429)
    kept.socket.terminate()
    for (const option of ['allowedOrigins', 'allowedHosts', 'maxConnections'])
      expect(lines.filter((line) => line.includes(`"${option}"`))).toHaveLength(1)
  })

  it('an allowed page may ask before it sends, without credentials, whatever the path', async () => {
    const port = await servers.backend({
      authenticate: () => undefined,
      allowedOrigins: ['https://app.example'],
    })
    const preflight = { origin: 'https://app.example', 'access-control-request-method': 'PUT' }
    for (const path of ['/v1/settings', '/mine']) {
      const answer = await status(port, path, preflight, 'OPTIONS')
      expect(answer).toMatchObject({
        status: 204,
        headers: { 'access-control-allow-origin': 'https://app.example' },
      })
      expect(answer.headers['access-control-allow-methods']).toContain('PUT')
    }
    // Refusals of what follows can be read by the page.
    const refused = await status(port, '/v1/settings', { origin: 'https://app.example' })
    expect(refused).toMatchObject({
      status: 401,
      headers: { 'access-control-allow-origin': 'https://app.example' },
    })
    expect(
      (await status(port, '/v1/settings', { ...preflight, origin: 'https://e.example' }, 'OPTIONS')).status,
    ).toBe(403)
  })
})

it.each(['}', '{x}', '../../etc/passwd', 'a b', 'x'.repeat(129), "'; DROP TABLE guru_session; --"])(
  'a session that cannot be named %j is unknown, and no store is asked for it',
  async (sid) => {
    const asked: string[] = []
    const store: SessionStore = {
      find(name) {
        asked.push(name)
        return undefined
      },
      write: () => 'stored',
      list: () => [],
      close: () => {},
    }
    for (const [, start] of allServers) {
      const client = new FrameClient(await start({ store }))
      await client.connected()
      client.say({ t: 'resume', sid, key: 'k', epoch: 1, rx: 0 })
      expect(await client.closing()).toEqual({ code: 4410, reason: 'unknown session' })
    }
    expect(asked).toEqual([])
  },
)

describe('under which name', () => {
  it.each(allServers)(
    '%s: a name that somebody points here is refused, its own pages too',
    async (_name, start) => {
      const port = await start({})
      const headers = { host: `evil.example:${port}` }
      expect([403, 1008]).toContain(await session(port, { headers, origin: `http://evil.example:${port}` }))
      expect([403, 1008]).toContain(await session(port, { headers }))
      expect(await session(port, { headers: { host: `localhost:${port}` } })).toBe('in')
      const named = await start({ allowedHosts: ['Good.example'] })
      expect(await session(named, { headers: { host: 'good.EXAMPLE' } })).toBe('in')
      expect([403, 1008]).toContain(await session(named))
    },
  )
})

describe('small inputs stay cheap', () => {
  const deep = '['.repeat(65) + ']'.repeat(65)
  it('what is nested too deeply is refused at every door, and costs nobody the line', async () => {
    const port = await servers.backend({})
    const post = await ask(`http://127.0.0.1:${port}/v1/settings`, { method: 'POST', body: `{"a":${deep}}` })
    expect(post.statusCode).toBe(400)
    expect(await post.body.json()).toMatchObject({ error: expect.stringContaining('64') })

    const user = await new RawClient(port).opened()
    user.say(`{"type":"message","id":"a","content":"x","more":${deep}}`)
    user.say(`{"type":"message","id":"b","content":"x","more":[${Array(1001).fill('{}').join()}]}`)
    user.ask('c')
    expect(await user.answer('c')).toContain('You said')
    expect(user.heard.filter(({ type }) => type === 'error')).toHaveLength(2)
    user.socket.terminate()

    const client = new FrameClient(port)
    await client.open()
    client.say(`1:${deep}`)
    await until(() => client.control('ack')?.rx === 1, 'it is set aside')
    client.say(`{"t":"ping","at":1,"more":${deep}}`)
    await until(() => client.closed !== undefined, 'a wrong control message ends the line')
    expect(client.closed?.code).toBe(4400)
  })

  it.each(['{"a":{"__proto__":1}}', '{"a":{"\\u005f_proto__":1}}', '[{"constructor":1}]', '{"prototype":1}'])(
    'dangerous keys are refused, however written: %s',
    async (body) => {
      const port = await servers.backend({})
      const answer = await ask(`http://127.0.0.1:${port}/v1/settings`, { method: 'POST', body })
      expect(answer.statusCode).toBe(400)
    },
  )
})
