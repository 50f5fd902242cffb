// The first connection of a session is cut after byte N, for every N and either direction: through the upgrade, the
// opening, and fifty messages.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { GuruConnection } from 'guru-comms'
import { type Session, SessionServer } from 'guru-comms/server'
import { afterEach, describe, expect, it } from 'vitest'
import { until } from './sessionRun.ts'
import { type Direction, startProxy } from './tcpProxy.ts'

/** Each way; the messages of both together are fifty. */
const COUNT = 25
const AT_A_TIME = 40

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

interface Talk {
  /** What the server's app has handled of the client, and the client's of the server. */
  readonly up: number[]
  readonly down: number[]
}

/** A handler that takes its time, so that a cut finds messages that are taken and not acknowledged. */
const aWhile = () => new Promise((resolve) => setTimeout(resolve, Math.random() * 5))

/** A server that handles what the clients of many talks say, by their names, and says as much. */
async function startServer(talks: ReadonlyMap<string, Talk>): Promise<{ port: number; errors: unknown[] }> {
  const errors: unknown[] = []
  const sessions = new SessionServer({ maxSessions: 100_000, maxSessionsPerPrincipal: 100_000 })
  sessions.on('error', (error) => errors.push(error))
  const greeted = new Set<Session>()
  sessions.onSession((session) =>
    session.handle(async (message) => {
      const { talk, n } = message as { talk: string; n: number }
      talks.get(talk)?.up.push(n)
      // Not before something was heard: the client of an earlier one may not know that it began.
      if (!greeted.has(session)) {
        greeted.add(session)
        for (let own = 1; own <= COUNT; own += 1) session.send({ n: own })
      }
      await aWhile()
    }),
  )
  const http = createServer()
  sessions.attach(http)
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  cleanups.push(async () => {
    await sessions.close({ graceMs: 0 })
    http.close()
  })
  return { port: (http.address() as AddressInfo).port, errors }
}

const numbers = Array.from({ length: COUNT }, (_, index) => index + 1)

describe('a connection that is cut after byte N', () => {
  it('for every N through the handshake and fifty messages: all arrive once, in order', async () => {
    const talks = new Map<string, Talk>()
    const server = await startServer(talks)
    let broken = 0

    /** One session from its first byte to its last message. @returns the bytes that its first connection carried */
    async function talk(cut?: { direction: Direction; after: number }): Promise<Record<Direction, number>> {
      const proxy = await startProxy(server.port, (connection) => {
        if (cut && connection.number === 1) connection.cutAfter(cut.direction, cut.after)
      })
      // All names are of one length, so that all talks take the same bytes.
      const name = `${100_000 + talks.size}`
      const heard: Talk = { up: [], down: [] }
      talks.set(name, heard)
      const connection = new GuruConnection({
        url: `ws://127.0.0.1:${proxy.port}/ws`,
        session: 'required',
        healthUrl: false,
        reconnectDelay: 1,
        stableAfter: 0,
      })
      const lost: unknown[] = []
      connection.on('sessionLost', (loss) => lost.push(loss))
      connection.handle(async (message) => {
        heard.down.push((message as { n: number }).n)
        await aWhile()
      })
      for (const n of numbers) connection.send({ talk: name, n })
      await until(() => heard.up.length >= COUNT && heard.down.length >= COUNT)
      // Before it is disposed of, which leaves in doubt what is not acknowledged yet.
      const told = { up: [...heard.up], down: [...heard.down], lost: [...lost] }
      if (proxy.connections.length > 1) broken += 1
      expect(proxy.connections.length).toBeLessThanOrEqual(2)
      const { bytes } = proxy.connections[0] as (typeof proxy.connections)[0]
      const carried = { ...bytes }
      connection.dispose()
      await proxy.close()
      expect(told, `cut ${cut?.direction} after ${cut?.after} bytes`).toEqual({
        up: numbers,
        down: numbers,
        lost: [],
      })
      return carried
    }

    const whole = await talk()
    const cuts = (['up', 'down'] as const).flatMap((direction) =>
      Array.from({ length: whole[direction] }, (_, after) => ({ direction, after })),
    )
    expect(cuts.length).toBeGreaterThan(1000)
    let next = 0
    const worker = async () => {
      for (let cut = cuts[next++]; cut; cut = cuts[next++]) await talk(cut)
    }
    await Promise.all(Array.from({ length: AT_A_TIME }, worker))
    expect(server.errors).toEqual([])
    // All but some whose last bytes were acknowledgements that came later than in the first talk.
    expect(broken).toBeGreaterThan(0.9 * cuts.length)
  })
})
