// `loaded`, `ready()` and `settled()`: what a sender waits for, and that each of them ends whatever becomes of the connection.

import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { nextSocket } from '../../tests/support/fakeSockets.ts'
import { GuruConnection, type GuruConnectionOptions } from '../GuruConnection.ts'
import { FakeWebSocket } from '../testing/FakeWebSocket.ts'
import { MemoryDisk } from '../testing/MemoryOutbox.ts'
import { VirtualClock } from '../testing/VirtualClock.ts'

let clock: VirtualClock
let host = 0
const made: GuruConnection[] = []

beforeAll(() => import('./sessionLayer.ts'))
beforeEach(() => {
  clock = new VirtualClock()
  FakeWebSocket.reset()
  host += 1
})
afterEach(() => {
  for (const connection of made.splice(0)) connection.dispose()
})

function make(options: Partial<GuruConnectionOptions> = {}): GuruConnection {
  const connection = new GuruConnection({
    url: `ws://settling${host}/ws`,
    WebSocket: FakeWebSocket,
    clock,
    random: () => 0,
    healthUrl: false,
    ...options,
  })
  connection.on('error', () => {})
  made.push(connection)
  return connection
}

const OPENED = { t: 'opened', rx: 0, ttl: 60_000, maxMessages: 2, maxBytes: 10_000, maxFrame: 1000, ping: 0 }

async function begin(): Promise<FakeWebSocket> {
  const line = await nextSocket(clock)
  line.accept('guru.v1')
  line.receive({ ...OPENED, sid: 's', key: 'k' })
  await clock.advance(0)
  return line
}

async function fate(promise: Promise<unknown>): Promise<string> {
  const settled = promise.then(
    () => 'resolved',
    (error: { code?: string }) => error.code ?? 'rejected',
  )
  return Promise.race([settled, clock.advance(0).then(() => 'pending')])
}

const modes = ['off', 'auto', 'required'] as const

describe.each(modes)("with session '%s'", (session) => {
  it.each([
    ['close', 'CONNECTION'],
    ['dispose', 'DISPOSED'],
    ['giving up', 'CONNECTION'],
  ])('what waits for room or for fates ends with %s', async (end, code) => {
    const connection = make({ session, maxReconnectAttempts: 0 })
    connection.send('waits')
    const [ready, settled] = [connection.ready(), connection.settled()]
    const line = await nextSocket(clock)
    expect(await fate(ready)).toBe('pending')
    expect(await fate(settled)).toBe('pending')
    if (end === 'close') connection.close()
    else if (end === 'dispose') connection.dispose()
    else line.cut()
    // What was dropped by that has a fate, and leaves room.
    expect(['resolved', code]).toContain(await fate(ready))
    expect(['resolved', code]).toContain(await fate(settled))
    expect(['resolved', code]).toContain(await fate(connection.settled()))
  })

  it('loaded settles, also when it is disposed of at once', async () => {
    const connection = make({ session })
    expect(connection.getStats().loading).toBe(session !== 'off')
    const { loaded } = connection
    connection.dispose()
    await nextTurns()
    expect(['resolved', 'DISPOSED']).toContain(await fate(loaded))
  })
})

describe('in a session', () => {
  it('settled() waits for the acknowledgement of all, ready() for room only', async () => {
    const connection = make({ session: 'required' })
    const line = await begin()
    for (const text of ['a', 'b', 'c']) connection.send(text)
    const [ready, settled] = [connection.ready(), connection.settled()]
    expect(await fate(ready)).toBe('pending')
    line.receive({ t: 'ack', rx: 1 })
    expect(await fate(ready)).toBe('resolved')
    expect(await fate(settled)).toBe('pending')
    line.receive({ t: 'ack', rx: 3 })
    expect(await fate(settled)).toBe('resolved')
  })

  it('loaded: what an earlier process has left is known', async () => {
    const disk = new MemoryDisk()
    const first = make({ session: 'required', storage: disk.outbox() })
    await begin()
    first.send('left')
    await clock.advance(0)
    first.dispose()
    await clock.advance(0)
    const second = make({ session: 'required', storage: disk.outbox(), autoConnect: false })
    expect(second.getStats()).toMatchObject({ loading: true, unacknowledgedMessages: 0 })
    await second.loaded
    expect(second.getStats()).toMatchObject({ loading: false, unacknowledgedMessages: 1 })
    const settled = second.settled()
    expect(await fate(settled)).toBe('pending')
    second.connect()
    const line = await nextSocket(clock)
    line.accept('guru.v1')
    await clock.advance(0)
    line.receive({ ...OPENED, rx: 1, tx: 0 })
    expect(await fate(settled)).toBe('resolved')
  })
})

describe('stopping is not ending', () => {
  it.each([
    ['a token that was refused twice', [4401, 4401]],
    ['another owner', [4409]],
    ['a server that closes with 1000', [1000]],
  ])(
    '%s stops the client, and connect() goes on with the session and all that it holds',
    async (_, codes) => {
      const connection = make({ session: 'required' })
      const lost: unknown[] = []
      const errors: unknown[] = []
      for (const name of ['sessionLost', 'dropped'] as const) connection.on(name, (event) => lost.push(event))
      connection.on('error', (error) => errors.push(error))
      let line = await begin()
      for (const text of ['a', 'b', 'c']) connection.send(text)
      for (const [index, code] of codes.entries()) {
        if (index > 0) {
          line = await nextSocket(clock)
          line.accept('guru.v1')
        }
        line.cut(code, '', true)
        await clock.advance(0)
      }
      expect(['failed', 'closed']).toContain(connection.connectionState)
      expect(errors.length).toBeGreaterThan(0)
      expect(lost).toEqual([])
      connection.connect()
      line = await nextSocket(clock)
      line.accept('guru.v1')
      line.receive({ ...OPENED, rx: 1 })
      await clock.advance(0)
      expect(line.sent.filter((frame) => /^\d/.test(String(frame)))).toContain('3:c')
      expect(line.sent.map(String)).toContain('2:b')
      expect(lost).toEqual([])
    },
  )
})

const nextTurns = async () => {
  for (let left = 5; left > 0; left -= 1) await new Promise((resolve) => setImmediate(resolve))
}
