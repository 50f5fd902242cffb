// A process that stands still (SIGSTOP) and goes on later: the other side leaves it in time, and what the thawed one
// still has to say changes nothing. In the long run for a minute, with the heartbeat of the defaults.

import { DatabaseSync } from 'node:sqlite'
import { afterEach, describe, expect, it } from 'vitest'
import { LONG } from '../support/proofs.ts'
import { SessionRun, until } from './sessionRun.ts'
import { startProxy } from './tcpProxy.ts'

const FROZEN_MS = LONG ? 60_000 : 4000
/** Frozen for this long, so that the other side notices within it. */
const HEARTBEAT = LONG ? {} : { pingInterval: 400, pongTimeout: 600 }
const CLIENT = LONG ? {} : { ...HEARTBEAT, connectTimeout: 1000 }

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const rest = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

function newRun(transact = false, shared = false): SessionRun {
  const run = new SessionRun({ durable: true, transact, shared, client: CLIENT, server: HEARTBEAT })

  cleanups.push(() => run.end())
  return run
}

/** Messages go both ways. */
async function traffic(run: SessionRun): Promise<void> {
  const [client, server] = [run.handled('client'), run.handled('server')]
  await until(() => run.handled('client') > client + 20 && run.handled('server') > server + 20)
}

/** Nothing lost, doubled or reordered; nobody died, so nothing was handed over twice either. */
async function judge(run: SessionRun): Promise<void> {
  await run.finish()
  expect(run.judge()).toEqual([])
  expect(run.lines.filter(({ what, redelivered }) => what === 'lost' || redelivered)).toEqual([])
}

describe(`a process that is frozen (SIGSTOP) for ${FROZEN_MS / 1000} s and thaws`, () => {
  it(
    'the server: its client leaves, comes back when it thaws, and what it had still to say changes nothing',
    async () => {
      const run = newRun()
      const { child, port } = await run.startServer()
      await run.startClient(port)
      for (let round = 0; round < (LONG ? 1 : 3); round += 1) {
        await traffic(run)
        const closes = run.count('client', 'close')
        child.kill('SIGSTOP')
        await rest(FROZEN_MS)
        await until(() => run.count('client', 'close') > closes)
        child.kill('SIGCONT')
        await traffic(run)
      }
      await judge(run)
      const silence = { who: 'client', what: 'error', code: 'TIMEOUT', phase: 'idle' }
      expect(run.lines).toContainEqual(expect.objectContaining(silence))
    },
    FROZEN_MS * 10 + 120_000,
  )

  it(
    'the client: the server drops the connection, keeps the session, and the client takes it up when it thaws',
    async () => {
      const run = newRun()
      const { port } = await run.startServer()
      const client = await run.startClient(port)
      for (let round = 0; round < (LONG ? 1 : 3); round += 1) {
        await traffic(run)
        const dropped = run.count('server', 'disconnected')
        client.kill('SIGSTOP')
        await rest(FROZEN_MS)
        await until(() => run.count('server', 'disconnected') > dropped)
        client.kill('SIGCONT')
        await traffic(run)
      }
      await judge(run)
    },
    FROZEN_MS * 10 + 120_000,
  )

  it(
    'one of two servers on a store: the other takes its session, the thawed one lets go, and what it still does is undone',
    async () => {
      const run = newRun(true, true)
      const first = await run.startServer()
      const proxy = await startProxy(first.port)
      cleanups.push(() => proxy.close())
      await run.startClient(proxy.port)
      await traffic(run)
      await freezeOutsideOfWrites(first.child, run.storeFile)
      const second = await run.startServer(0, 1_000_000)
      proxy.target = second.port
      await traffic(run)
      await rest(FROZEN_MS)
      first.child.kill('SIGCONT')
      await until(() => run.lost('server').length > 0)
      await traffic(run)
      await run.kill(first.child)
      await run.finish()
      expect(run.judge()).toEqual([])
      expect(run.lost('server').map(({ reason }) => reason)).toEqual(['takenOver'])
      expect(run.lost('client')).toEqual([])
    },
    FROZEN_MS * 10 + 120_000,
  )
})

/** A process that is stopped in the middle of a transaction would hold the lock of the file for as long. */
async function freezeOutsideOfWrites(
  child: { kill(signal: 'SIGSTOP' | 'SIGCONT'): boolean },
  file: string,
): Promise<void> {
  for (;;) {
    child.kill('SIGSTOP')
    await rest(50)
    const database = new DatabaseSync(file)
    try {
      database.exec('PRAGMA busy_timeout = 0; BEGIN IMMEDIATE; ROLLBACK')
      return
    } catch {
      child.kill('SIGCONT')
      await rest(20)
    } finally {
      database.close()
    }
  }
}
