// A session with a storage, on made-up sockets, a made-up disk and virtual time: what one connection leaves to the next.

import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { nextSocket } from '../../tests/support/fakeSockets.ts'
import { GuruConnection } from '../GuruConnection.ts'
import { StorageError } from '../storage/StorageError.ts'
import { FakeWebSocket } from '../testing/FakeWebSocket.ts'
import { MemoryDisk } from '../testing/MemoryOutbox.ts'
import { VirtualClock } from '../testing/VirtualClock.ts'

let clock: VirtualClock
let disk: MemoryDisk
const made: GuruConnection[] = []
const heard: string[] = []
let host = 0

// Loading it takes real time, which a virtual clock does not wait for.
beforeAll(() => import('./sessionLayer.ts'))
beforeEach(() => {
  clock = new VirtualClock()
  disk = new MemoryDisk()
  FakeWebSocket.reset()
  heard.length = 0
  host += 1
})
afterEach(() => {
  for (const connection of made.splice(0)) connection.dispose()
})

function make(): GuruConnection {
  const connection = new GuruConnection({
    url: `ws://stored${host}/ws`,
    session: 'required',
    storage: disk.outbox(),
    WebSocket: FakeWebSocket,
    clock,
    random: () => 0,
    healthUrl: false,
  })
  for (const name of ['sessionLost', 'dropped', 'error'] as const) connection.on(name, () => heard.push(name))
  made.push(connection)
  return connection
}

const socket = () => nextSocket(clock)

const LIMITS = { maxMessages: 3, maxBytes: 10_000, maxFrame: 1000 }
const OPENED = { t: 'opened', rx: 0, ttl: 60_000, ping: 0, ...LIMITS }

async function begin(): Promise<FakeWebSocket> {
  const line = await socket()
  line.accept('guru.v1')
  line.receive({ ...OPENED, sid: 's', key: 'k' })
  await clock.advance(0)
  return line
}

const fate = (promise: Promise<unknown>) =>
  promise.then(
    () => 'resolved',
    (error: { code?: string }) => error.code,
  )

describe('dispose() with a storage', () => {
  it('leaves the session and what is not acknowledged to the next connection, and reports nothing as lost', async () => {
    const connection = make()
    const line = await begin()
    const receipts = ['a', 'b', 'c', 'waits'].map((text) => connection.send(text))
    const fates = receipts.map(({ delivered }) => fate(delivered))
    await clock.advance(0)
    line.receive({ t: 'ack', rx: 1 })
    await clock.advance(0)
    connection.dispose()
    expect(await Promise.all(fates)).toEqual(['resolved', 'DISPOSED', 'DISPOSED', 'DISPOSED'])
    expect(line.sent.filter((frame) => String(frame).includes('"close"'))).toEqual([])
    await clock.advance(0)

    make()
    const next = await socket()
    next.accept('guru.v1')
    await clock.advance(0)
    expect(next.sent[0]).toBe('{"t":"resume","sid":"s","key":"k","epoch":1,"rx":0,"tx":4}')
    next.receive({ ...OPENED, rx: 2 })
    await clock.advance(0)
    expect(next.sent.slice(1).at(-1)).toBe('4:waits')
    expect(next.sent.slice(1)).toContain('3:c')
    expect(heard).toEqual([])
  })

  it.each(['connecting', 'resuming', 'waiting'])('does so while it is %s, too', async (when) => {
    const connection = make()
    let line = await begin()
    connection.send('a')
    await clock.advance(0)
    line.cut()
    if (when !== 'waiting') line = await socket()
    if (when === 'resuming') line.accept('guru.v1')
    await clock.advance(0)
    connection.dispose()
    await clock.advance(0)
    expect(disk.record.session).toMatchObject({ sid: 's', messages: [{ payload: 'a' }] })
    expect(heard).toEqual([])
  })

  it('close() ends the session: nothing is left', async () => {
    const connection = make()
    const line = await begin()
    connection.send('a')
    await clock.advance(0)
    connection.close()
    line.receive({ t: 'ack', rx: 1 })
    line.cut(1000, '', true)
    await clock.advance(0)
    expect(connection.connectionState).toBe('closed')
    expect(disk.record).toEqual({ session: undefined, waiting: [] })
  })
})

describe('a storage without a session', () => {
  it('is refused: nothing would be recorded', () => {
    for (const options of [{}, { session: 'off' }] as const)
      expect(
        () =>
          new GuruConnection({ url: 'ws://h/ws', autoConnect: false, storage: disk.outbox(), ...options }),
      ).toThrow('GuruConnection: option "storage" needs "session" to be "auto" or "required", got an object')
  })
})

describe('a storage that another owner has taken', () => {
  it("stops the client as 4409 does, and does not end the session that is the other owner's now", async () => {
    let lost = false
    const storage = {
      load: () => ({ session: undefined, waiting: [] }),
      write() {
        if (lost) throw new StorageError('taken', { reason: 'lost' })
      },
      destroy() {},
      close() {},
    }
    const connection = new GuruConnection({
      url: 'ws://h/ws',
      session: 'required',
      WebSocket: FakeWebSocket,
      clock,
      random: () => 0,
      healthUrl: false,
      storage,
    })
    const codes: unknown[] = []
    connection.on('error', (error) => codes.push((error as { code?: unknown }).code))
    const line = await begin()
    lost = true
    connection.send('mine no more')
    await clock.advance(60_000)
    expect(connection.connectionState).toBe('failed')
    expect(codes.toSorted()).toEqual(['SESSION_LOST', 'STORAGE'])
    expect(line.sent.filter((frame) => String(frame).includes('"close"'))).toEqual([])
    expect(FakeWebSocket.all.at(-1)).toBe(line)
    connection.dispose()
  })
})
