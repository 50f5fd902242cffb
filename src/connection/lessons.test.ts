// What burned the users of other libraries, on made-up sockets and virtual time: how this one behaves there, on a plain
// line and in a session.

import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { nextSocket } from '../../tests/support/fakeSockets.ts'
import { GuruConnection, type GuruConnectionOptions } from '../GuruConnection.ts'
import { FakeWebSocket } from '../testing/FakeWebSocket.ts'
import { VirtualClock } from '../testing/VirtualClock.ts'

let clock: VirtualClock
const made: GuruConnection[] = []
let host = 0

// Loading it takes real time, which a virtual clock does not wait for.
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
    url: `ws://lesson${host}/ws`,
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

const socket = () => nextSocket(clock)

const OPENED = {
  t: 'opened',
  rx: 0,
  ttl: 60_000,
  maxMessages: 100,
  maxBytes: 10_000,
  maxFrame: 1000,
  ping: 0,
}

/** The server answers `open`, or with `rx` a `resume`. */
async function answer(line: FakeWebSocket, rx?: number): Promise<void> {
  line.accept('guru.v1')
  line.receive(rx === undefined ? { ...OPENED, sid: 's', key: 'k' } : { ...OPENED, rx })
  await clock.advance(0)
}

const numbered = (line: FakeWebSocket) => line.sent.filter((data) => /^\d/.test(String(data)))
const live = () => FakeWebSocket.all.filter(({ readyState }) => readyState <= 1).length

describe.each(['off', 'required'] as const)('a line with session "%s"', (session) => {
  const accept = (line: FakeWebSocket, rx?: number) =>
    session === 'off' ? Promise.resolve(line.accept()).then(() => clock.advance(0)) : answer(line, rx)

  it('leaves a dead socket that never fires "close"', async () => {
    const connection = make({ session, pingInterval: 1000, pongTimeout: 500, reconnectDelay: 10 })
    const line = await socket()
    await accept(line)
    line.receive(session === 'off' ? { type: 'pong' } : { t: 'pong', at: 0 })
    line.close = () => {}
    await clock.advance(1600)
    expect(connection.connected).toBe(false)
    if (FakeWebSocket.all.length === 1) await socket()
    await accept(FakeWebSocket.latest, 0)
    expect(connection.connected).toBe(true)
    // What the dead one still tells is nobody's affair.
    line.cut()
    await clock.advance(0)
    expect(connection.connected).toBe(true)
  })

  it('an attempt that never fires anything is followed by another, one at a time', async () => {
    make({ session, connectTimeout: 1000, reconnectDelay: 10 })
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const line = await socket()
      line.close = function (this: FakeWebSocket) {
        this.readyState = 2
      }
      expect(live()).toBe(1)
      await clock.advance(1000)
    }
  })

  it('what waits is not lost when the line is replaced for a new token', async () => {
    const tokens = ['old', 'new']
    const connection = make({ session, url: () => `ws://lesson${host}/ws?${tokens.shift() ?? 'newest'}` })
    const line = await socket()
    connection.send('one')
    connection.send('two')
    line.cut(4401, 'the token has expired')
    connection.send('three')
    const next = await socket()
    await accept(next)
    expect(next.url).toContain('?new')
    const expected = ['one', 'two', 'three']
    expect(next.sent.slice(session === 'off' ? 0 : 1)).toEqual(
      session === 'off' ? expected : expected.map((text, index) => `${index + 1}:${text}`),
    )
  })

  it('requests that ran out of time while there was no line, and their retries, do not all fire on reconnection', async () => {
    const connection = make({ session, reconnectDelay: 10_000 })
    ;(await socket()).cut()
    for (let retry = 0; retry < 3; retry += 1) {
      const failed = connection.request({ ask: 'again' }, { timeout: 100 }).catch(({ code }) => code)
      await clock.advance(150)
      expect(await failed).toBe('TIMEOUT')
    }
    const line = await socket()
    await accept(line)
    expect(line.sent).toEqual(session === 'off' ? [] : ['{"t":"open"}'])
  })

  it('a heartbeat of an earlier line never ends the next', async () => {
    const connection = make({ session, pingInterval: 1000, pongTimeout: 500, reconnectDelay: 10 })
    const line = await socket()
    await accept(line)
    line.receive(session === 'off' ? { type: 'pong' } : { t: 'pong', at: 0 })
    await clock.advance(1000)
    line.cut()
    await accept(await socket(), 0)
    await clock.advance(700)
    expect(connection.connected).toBe(true)
  })

  it('a server that takes the upgrade and ends the line each time is not asked at full speed', async () => {
    make({ session, reconnectDelay: 1000 })
    const startedAt = clock.now()
    for (let attempt = 0; attempt < 6; attempt += 1) {
      const line = FakeWebSocket.all[attempt] ?? (await socket())
      line.accept(session === 'off' ? '' : 'guru.v1')
      line.cut(1006)
    }
    await socket()
    // 1 + 2 + 4 + 8 + 16 + 30 s
    expect(clock.now() - startedAt).toBeGreaterThan(60_000)
  })
})

describe('in a session', () => {
  it('a send in the open handler does not overtake what waits, nor what is sent again', async () => {
    const connection = make({ session: 'required' })
    connection.on('open', () => connection.send('new'))
    connection.send('first')
    const line = await socket()
    await answer(line)
    expect(numbered(line)).toEqual(['1:first', '2:new'])
    line.cut()
    connection.send('while away')
    const next = await socket()
    await answer(next, 0)
    expect(numbered(next)).toEqual(['1:first', '2:new', '3:while away', '4:new'])
  })

  it('a message sent while older ones are sent again is neither lost nor overtakes them, whatever the next break leaves', async () => {
    const connection = make({ session: 'required' })
    let line = await socket()
    await answer(line)
    connection.send('a')
    connection.send('b')
    line.cut()
    line = await socket()
    // The resume is under way, the old messages are out again, the answer is not there.
    line.accept('guru.v1')
    expect(numbered(line)).toEqual(['1:a', '2:b'])
    connection.send('c')
    line.cut()
    connection.send('d')
    line = await socket()
    line.accept('guru.v1')
    connection.send('e')
    line.receive({ ...OPENED, rx: 1 })
    connection.send('f')
    expect(numbered(line)).toEqual(['1:a', '2:b', '3:c', '4:d', '5:e', '6:f'])
  })

  it('is resumed although nothing was received yet, neither by the server nor here', async () => {
    const connection = make({ session: 'required' })
    const lost: unknown[] = []
    connection.on('sessionLost', (loss) => lost.push(loss))
    await answer(await socket())
    FakeWebSocket.latest.cut()
    const line = await socket()
    await answer(line, 0)
    expect(line.sent).toEqual(['{"t":"resume","sid":"s","key":"k","epoch":1,"rx":0,"tx":0}'])
    line.receive('1:late news')
    expect([connection.connected, lost]).toEqual([true, []])
  })

  it.each([
    ['loses', 4410],
    ['refuses', 4401],
  ])(
    'a server that opens every session and %s it right after (%i) is not asked at full speed',
    async (_what, code) => {
      make({ session: 'required', reconnectDelay: 1000 })
      const startedAt = clock.now()
      for (let attempt = 0; attempt < 8; attempt += 1) {
        const line = FakeWebSocket.all[attempt] ?? (await socket())
        line.accept('guru.v1')
        line.receive({ ...OPENED, ...(line.sent[0] === '{"t":"open"}' && { sid: 's', key: 'k' }) })
        line.cut(code)
      }
      await socket()
      expect(clock.now() - startedAt).toBeGreaterThan(60_000)
    },
  )

  it('comes back at once when a session is lost after a while', async () => {
    make({ session: 'required', reconnectDelay: 1000 })
    for (let loss = 0; loss < 3; loss += 1) {
      await answer(FakeWebSocket.all[loss] ?? (await socket()))
      await clock.advance(6000)
      FakeWebSocket.latest.cut(4410)
      const lostAt = clock.now()
      await socket()
      expect(clock.now() - lostAt).toBeLessThan(100)
    }
  })
})
