// What is posted is left exactly once, or told as not left, or as unknown: whatever becomes of the command on its way, and whatever the
// client library makes of that. Both libraries with their defaults, a real server, and a network that loses, delays and cuts.

import { connect, createServer, type Server, type Socket } from 'node:net'
import fc from 'fast-check'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { CommsError } from '../../src/core/errors.ts'
import { fromIoredis } from '../../src/redis/adapters/fromIoredis.ts'
import { fromNodeRedis } from '../../src/redis/adapters/fromNodeRedis.ts'
import type { RedisEngine } from '../../src/redis/RedisEngine.ts'
import { redisSessionStore } from '../../src/redis/RedisSessionStore.ts'
import { decodePost } from '../../src/redis/sessionWire.ts'
import { SessionSender } from '../../src/server/SessionSender.ts'
import { TEXT } from '../../src/session/frames.ts'
import type { SharedSessions } from '../../src/session/sharedSessions.ts'
import type { SessionStore } from '../../src/session/store.ts'
import { ioredis, type OpenedEngine } from '../support/redisClients.ts'
import { canRunRedis, RedisServer } from '../support/redisServers.ts'

/** What becomes of the next post on its way. */
type Fault =
  | { readonly kind: 'none' }
  /** The line is cut before the engine has it, or after it has it and before its answer has come. */
  | { readonly kind: 'lostBefore' | 'lostAfter' }
  /** The line stands still for so long, in milliseconds. */
  | { readonly kind: 'delayed'; readonly ms: number }

/** A line to the server with one fault at a time. */
class FaultyLine {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #faults: Fault[] = []
  /** What stands still. */
  readonly #held = new Set<Promise<void>>()
  port = 0

  constructor(target: number) {
    this.#server = createServer((near) => {
      const far = connect(target, '127.0.0.1')
      let held = Promise.resolve()
      let cutAtAnswer = false
      for (const socket of [near, far]) {
        this.#sockets.add(socket)
        socket.on('error', () => {})
        socket.on('close', () => {
          this.#sockets.delete(socket)
          near.destroy()
          far.destroy()
        })
      }
      near.on('data', (chunk) => {
        const fault = chunk.includes('post-') ? this.#faults.shift() : undefined
        if (fault?.kind === 'lostBefore') {
          near.destroy()
          return
        }
        if (fault?.kind === 'lostAfter') cutAtAnswer = true
        if (fault?.kind === 'delayed')
          held = held.then(() => new Promise((resolve) => setTimeout(resolve, fault.ms)))
        const passed = held.then(() => {
          far.write(chunk)
          this.#held.delete(passed)
        })
        held = passed
        this.#held.add(passed)
      })
      far.on('data', (chunk) => {
        if (cutAtAnswer) near.destroy()
        else near.write(chunk)
      })
    })
  }

  async open(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    this.port = (this.#server.address() as { port: number }).port
  }

  next(fault: Fault): void {
    if (fault.kind !== 'none') this.#faults.push(fault)
  }

  /** Resolves when nothing stands still any more. */
  async quiet(): Promise<void> {
    while (this.#held.size > 0) await Promise.all(this.#held)
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
  }
}

const libraries = {
  ioredis: async (port: number) => {
    const client = new Redis({ host: '127.0.0.1', port })
    client.on('error', () => {})
    return { engine: fromIoredis(client), end: () => client.disconnect() }
  },
  'node-redis': async (port: number) => {
    const client = createClient({ socket: { host: '127.0.0.1', port } })
    client.on('error', () => {})
    await client.connect()
    return { engine: fromNodeRedis(client), end: () => client.destroy() }
  },
}

const fault: fc.Arbitrary<Fault> = fc.oneof(
  fc.constant<Fault>({ kind: 'none' }),
  fc.constant<Fault>({ kind: 'lostBefore' }),
  fc.constant<Fault>({ kind: 'lostAfter' }),
  fc.record({ kind: fc.constant('delayed' as const), ms: fc.constantFrom(20, 250, 700) }),
)

describe.skipIf(!canRunRedis('posts over a faulty line')).each(Object.entries(libraries))(
  'posts with %s as it comes',
  (_, open) => {
    let server: RedisServer
    let straight: OpenedEngine
    let line: FaultyLine
    let client: { engine: RedisEngine; end(): void }
    let store: SessionStore
    let shared: SharedSessions
    let session = 0

    beforeAll(async () => {
      server = await RedisServer.start()
      straight = ioredis({ port: server.port })
    })
    afterAll(async () => {
      await straight.end()
      await server.stop()
    })
    beforeEach(async () => {
      line = new FaultyLine(server.port)
      await line.open()
      client = await open(line.port)
      store = redisSessionStore({ engine: client.engine, timeout: 400 })
      shared = store.shared as SharedSessions
    })
    afterEach(async () => {
      await store.close()
      client.end()
      line.close()
    })

    /** A session that nobody owns. */
    async function begin(): Promise<string> {
      session += 1
      const sid = `session-${'x'.repeat(20)}-${session}`
      await straight.engine.command(['HSET', `guru:{${sid}}`, 'owner', ''], `guru:{${sid}}`)
      await straight.engine.command(['PEXPIRE', `guru:{${sid}}`, '600000'], `guru:{${sid}}`)
      return sid
    }
    async function inbox(sid: string): Promise<string[]> {
      const key = `guru:{${sid}}:i`
      const found = (await straight.engine.command(['XRANGE', key, '-', '+'], key)) as never[]
      return found.map((one) => String(decodePost(one).payload))
    }
    const message = (text: string) => ({
      token: text,
      stream: TEXT,
      payload: text,
      priority: 0,
      expiresAt: -1,
    })

    it('are left once, or told as not left, or as unknown', async () => {
      const told = { posted: 0, STORAGE: 0, UNKNOWN: 0 }
      await fc.assert(
        fc.asyncProperty(fc.array(fc.tuple(fault, fault), { minLength: 1, maxLength: 4 }), async (faults) => {
          const sid = await begin()
          const came: string[] = []
          const unknown: string[] = []
          for (const [index, both] of faults.entries()) {
            const text = `post-${session}-${index}`
            // The second meets whoever asks again.
            for (const one of both) line.next(one)
            const result = await shared
              .post(sid, message(text))
              .catch((error: CommsError) => error.code as keyof typeof told)
            told[result as keyof typeof told] += 1
            if (result === 'posted') came.push(text)
            if (result === 'UNKNOWN') unknown.push(text)
          }
          // What a library still holds back is carried out by now, or refused.
          await new Promise((resolve) => setTimeout(resolve, 100))
          const found = await inbox(sid)
          expect(found.filter((text) => !unknown.includes(text))).toEqual(came)
          expect(new Set(found).size).toBe(found.length)
        }),
        { numRuns: 12 },
      )
      expect(told.posted).toBeGreaterThan(0)
    }, 120_000)

    it('wait for an engine that restarts, and what comes too late is refused for good', async () => {
      const sid = await begin()
      expect(await shared.post(sid, message('post-first'))).toBe('posted')
      line.next({ kind: 'delayed', ms: 900 })
      await expect(shared.post(sid, message('post-late'))).rejects.toMatchObject({ code: 'STORAGE' })
      expect(await shared.post(sid, message('post-next'))).toBe('posted')
      await line.quiet()
      await client.engine.command(['PING'], undefined)
      expect(await inbox(sid)).toEqual(['post-first', 'post-next'])
    })

    it('come to every session once, whatever happens on the way', async () => {
      const sids = await Promise.all(Array.from({ length: 5 }, begin))
      const sender = new SessionSender({ store })
      const receipts = sids.map((sid, index) => {
        line.next(index % 2 === 0 ? { kind: 'lostAfter' } : { kind: 'none' })
        return sender.send(sid, `post-pay-${index}`)
      })
      await Promise.all(receipts.map(({ stored }) => stored))
      for (const [index, sid] of sids.entries()) expect(await inbox(sid)).toEqual([`post-pay-${index}`])
      sender.close()
      await expect(receipts[0]?.delivered).rejects.toMatchObject({ code: 'UNKNOWN' })
    })
  },
)
