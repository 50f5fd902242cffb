// The client and the server of sessions together, on real sockets.

import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { Endpoint } from '../../src/Endpoint.ts'
import { GuruConnection, type GuruConnectionOptions } from '../../src/GuruConnection.ts'
import { createBackend } from '../../src/server/createBackend.ts'
import type { Session } from '../../src/server/Session.ts'
import { SessionServer } from '../../src/server/SessionServer.ts'
import type { SessionServerOptions } from '../../src/server/sessionServerOptions.ts'
import { sqliteSessionStore } from '../../src/storage/sqlite/SqliteSessionStore.ts'
import { until } from '../support/misbehavingServer.ts'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function listen(port = 0): Promise<{ http: Server; port: number; stop(): Promise<void> }> {
  const http = createServer((_request, response) => response.end('{"status":"ok"}'))
  await new Promise<void>((resolve) => http.listen(port, '127.0.0.1', resolve))
  const stop = () =>
    new Promise<void>((resolve) => {
      http.close(() => resolve())
      http.closeAllConnections()
    })
  return { http, port: (http.address() as AddressInfo).port, stop }
}

async function serve(onSession: (session: Session) => void, options: SessionServerOptions = {}) {
  const { http, port, stop } = await listen()
  const server = new SessionServer(options).onSession(onSession).attach(http)
  ends.push(async () => {
    await server.close({ graceMs: 0 })
    await stop()
  })
  return { server, port }
}

function connect(port: number, options: Partial<GuruConnectionOptions> = {}): GuruConnection {
  const connection = new GuruConnection({
    url: `ws://127.0.0.1:${port}/ws`,
    session: 'required',
    reconnectDelay: 10,
    healthInterval: 20,
    ...options,
  })
  ends.push(() => connection.dispose())
  return connection
}

const moment = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

describe('a connection and a session server', () => {
  it('over cuts at random instants: all is handled once and in order, both ways, and told so', async () => {
    const total = 2000
    const atServer: number[] = []
    const atClient: number[] = []
    let delivered = 0
    let session: Session | undefined
    const { server, port } = await serve((made) => {
      session = made
      made.handle(async (message) => {
        atServer.push((message as { n: number }).n)
        if (Math.random() < 0.1) await moment(1)
      })
    })
    const connection = connect(port)
    connection.handle(async (message) => {
      atClient.push((message as { n: number }).n)
      if (Math.random() < 0.1) await moment(1)
    })
    await until(() => session !== undefined, 'the session is opened')
    const sending = (async () => {
      for (let n = 1; n <= total; n += 1) {
        void connection.send({ n }).delivered.then(() => {
          delivered += 1
        })
        void session?.send({ n }).delivered.then(() => {
          delivered += 1
        })
        if (n % 50 === 0) await moment(1)
      }
    })()
    const cutting = (async () => {
      for (let cut = 0; cut < 15; cut += 1) {
        await moment(5 + 30 * Math.random())
        server.cut()
      }
    })()
    await Promise.all([sending, cutting])
    await until(() => delivered === 2 * total, 'all is delivered')
    const all = Array.from({ length: total }, (_, index) => index + 1)
    expect(atServer).toEqual(all)
    expect(atClient).toEqual(all)
    expect(server.getStats()).toMatchObject({ sessions: 1, losses: 0, dropped: 0 })
    expect(server.getStats().resumes).toBeGreaterThan(0)
  })

  it('carries bytes, volatile messages, barge-in, and a token', async () => {
    const told: unknown[] = []
    let session: Session | undefined
    const { port } = await serve(
      (made) => {
        session = made
        told.push(made.principal)
        made.handle((data, { stream }) => void told.push(data, stream))
        made.on('volatile', (data, stream) => told.push('volatile', data, stream))
        made.on('flush', (stream) => told.push('flush', stream))
      },
      { authenticate: (_request, auth) => (auth === 'right' ? 'ada' : undefined) },
    )
    const connection = connect(port, { token: 'right' })
    const heard: unknown[] = []
    connection.on('message', (message) => heard.push(message))
    await connection.send(Uint8Array.of(1, 2, 3), { stream: 4 }).delivered
    connection.send({ now: true }, { volatile: true })
    await until(() => told.includes('volatile'), 'the volatile one comes')
    expect(told).toEqual(['ada', Uint8Array.of(1, 2, 3).buffer, 4, 'volatile', { now: true }, undefined])
    session?.send(Uint8Array.of(9), { stream: 2 })
    session?.send('text')
    await until(() => heard.length === 2, 'both come')
    expect(heard).toEqual([Uint8Array.of(9).buffer, 'text'])
    connection.interrupt(3)
    await until(() => told.includes('flush'), 'the barge-in comes')
    const refused = connect(port, { token: 'wrong' })
    await until(() => refused.connectionState === 'failed', 'a wrong token stops')
  })

  it('goes on with a server that was stopped and started again on its store', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'guru-restart-'))
    ends.push(() => rmSync(folder, { recursive: true, force: true }))
    const handled: number[] = []
    async function start(at: number) {
      const { http, port, stop } = await listen(at)
      const store = sqliteSessionStore({ file: join(folder, 'sessions.db') })
      const server = new SessionServer({ store }).onSession((session) =>
        session.handle(async (message, { record }) => {
          await record(() => handled.push((message as { n: number }).n))
          session.send({ answer: (message as { n: number }).n })
        }),
      )
      server.attach(http)
      return {
        port,
        async end() {
          await server.close({ graceMs: 5 })
          await stop()
          store.close()
        },
      }
    }
    let running = await start(0)
    const { port } = running
    ends.push(() => running.end())
    const connection = connect(port)
    const answers: number[] = []
    connection.on('message', (message) => answers.push((message as { answer: number }).answer))
    const total = 120
    for (let n = 1; n <= total; n += 1) {
      connection.send({ n })
      if (n % 40 !== 0) continue
      await running.end()
      running = await start(port)
    }
    await until(() => answers.length >= total, 'all are answered')
    expect(handled.toSorted((a, b) => a - b)).toEqual(Array.from({ length: total }, (_, index) => index + 1))
    expect(new Set(answers).size).toBe(total)
  })

  it('moves on when the server drains, and loses nothing', async () => {
    const handled: unknown[] = []
    const { server, port } = await serve((made) => made.handle((message) => void handled.push(message)))
    const connection = connect(port)
    await connection.send(1).delivered
    const drained = server.drain({ spreadMs: 1 })
    connection.send(2)
    await drained
    expect(server.getStats()).toMatchObject({ connections: 0, sessions: 1 })
    expect(connection.connectionState).not.toBe('failed')
  })
})

describe('an endpoint and the backend', () => {
  it('a reply goes on without a gap over cuts', async () => {
    const words = Array.from({ length: 60 }, (_, index) => `word${index} `)
    const backend = await createBackend({
      port: 0,
      responder: {
        async *respond() {
          for (const word of words) {
            await moment(2)
            yield word
          }
        },
      },
    })
    ends.push(() => backend.close({ graceMs: 0 }))
    const endpoint = new Endpoint({
      WS_URL: `ws://127.0.0.1:${backend.port}/ws`,
      API_BASE_URL: backend.url,
      connection: { session: 'required', reconnectDelay: 10, healthInterval: 20 },
    })
    ends.push(() => endpoint.dispose())
    const reply = endpoint.ask('Go on')
    const cutting = (async () => {
      for (let cut = 0; cut < 4; cut += 1) {
        await moment(25)
        backend.cut()
      }
    })()
    expect(await reply.text()).toBe(words.join(''))
    await cutting
    expect(await endpoint.ask('And again').text()).toBe(words.join(''))
  })

  it('knows its users in both modes', async () => {
    const backend = await createBackend({
      port: 0,
      authenticate: ({ headers }) => (headers.authorization === 'Bearer right' ? 'ada' : undefined),
    })
    ends.push(() => backend.close({ graceMs: 0 }))
    for (const session of ['off', 'required', 'auto'] as const) {
      const endpoint = new Endpoint({
        WS_URL: `ws://127.0.0.1:${backend.port}/ws`,
        API_BASE_URL: backend.url,
        token: 'right',
        connection: { session },
      })
      expect(await endpoint.ask('Who?').text()).toBe('You said: Who?')
      endpoint.dispose()
    }
  })
})
